package postgres

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/diag"
)

// Explain tells what PostgreSQL's and the network's errors mean for the person who runs Damson.
func (d *database) Explain(err error) error {
	if err == nil {
		return nil
	}
	var done diag.Finding
	if errors.As(err, &done) {
		return err
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		if f, ok := d.explainServer(server); ok {
			f.Cause = err
			return f
		}
		return err
	}
	f, ok := d.explainNetwork(err)
	if !ok {
		return err
	}
	f.Cause = err
	return f
}

// explainServer gives a finding for what the server has said (SQLSTATE, appendix A of PostgreSQL's manual).
func (d *database) explainServer(e *pgconn.PgError) (diag.Finding, bool) {
	user := fmt.Sprintf("user %q", d.config.User)
	switch e.Code {
	case "28P01", "28000":
		return diag.Finding{Summary: "The store refuses the user",
			Detail: fmt.Sprintf("PostgreSQL at %s does not let %s in (%s).", d.server(), user, e.Message),
			Fix:    "Check user and password of --store (or PGUSER, PGPASSWORD, ~/.pgpass) and the server's pg_hba.conf."}, true
	case "3D000":
		return diag.Finding{Summary: "The store's database does not exist",
			Detail: fmt.Sprintf("There is no %s.", d.place()),
			Fix:    fmt.Sprintf("Create it (createdb %s), or name another in --store.", d.config.Database)}, true
	case "42501":
		return diag.Finding{Summary: "The store's user has too few rights",
			Detail: fmt.Sprintf("In %s: %s.", d.place(), e.Message),
			Fix: fmt.Sprintf("As its owner: GRANT CREATE ON DATABASE %q TO %q; or CREATE SCHEMA %s AUTHORIZATION %q.",
				d.config.Database, d.config.User, schema, d.config.User)}, true
	case "53100":
		return diag.Finding{Summary: "The disk is full",
			Detail: fmt.Sprintf("PostgreSQL at %s could not write: %s. What was acknowledged before is safe.", d.server(), e.Message),
			Fix:    "Free some space on the database server's disk and run the same command again."}, true
	case "53300":
		return diag.Finding{Summary: "The store has no free connection",
			Detail: fmt.Sprintf("PostgreSQL at %s: %s. A Damson process uses up to %d.", d.server(), e.Message, readers+2),
			Fix:    "Stop what holds connections, or raise max_connections."}, true
	case "57P01", "57P02", "57P03":
		return diag.Finding{Summary: "The store's server is stopping or starting",
			Detail: fmt.Sprintf("PostgreSQL at %s: %s.", d.server(), e.Message),
			Fix:    "Run the same command again once the server takes connections."}, true
	case "25006":
		return diag.Finding{Summary: "The store cannot be written",
			Detail: fmt.Sprintf("PostgreSQL at %s is read-only, as a standby is (%s).", d.server(), e.Message),
			Fix:    "Name the primary server in --store (with several hosts: target_session_attrs=read-write)."}, true
	}
	return diag.Finding{}, false
}

// explainNetwork gives a finding for a server that did not answer.
func (d *database) explainNetwork(err error) (diag.Finding, bool) {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return diag.Finding{Summary: "The store's host is unknown",
			Detail: fmt.Sprintf("No address was found for %q.", dns.Name),
			Fix:    "Check the host in --store and the network's name service."}, true
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return diag.Finding{Summary: "The store's server does not answer",
			Detail: fmt.Sprintf("Nothing takes connections at %s.", d.server()),
			Fix:    "Start PostgreSQL there, or correct host and port in --store."}, true
	case isConnect(err) && !errors.Is(err, context.Canceled):
		return diag.Finding{Summary: "The store's server does not answer",
			Detail: fmt.Sprintf("Connecting to %s: %s.", d.server(), lastLine(err)),
			Fix:    "Check host, port and sslmode in --store, and whether a firewall lies between."}, true
	case broken(err):
		return diag.Finding{Summary: "The connection to the store was lost",
			Detail: fmt.Sprintf("PostgreSQL at %s has ended it or does not answer any more (%s).", d.server(), lastLine(err)),
			Fix:    "Check that the server runs, then run the same command again."}, true
	}
	return diag.Finding{}, false
}

func isConnect(err error) bool {
	var e *pgconn.ConnectError
	return errors.As(err, &e)
}

// lastLine is the end of an error's text: of several attempts (addresses, with and without TLS) the last.
func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// broken says that the connection has failed, not a statement.
func broken(err error) bool {
	var network net.Error
	return errors.Is(err, sqldriver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		pgconn.SafeToRetry(err)
}

// Transient says that the transaction may go well when it is done again: it met another (a deadlock, a conflict), or its
// connection was ended, by the server for a restart or by the network.
func (d *database) Transient(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "40001", "40P01", "57P01", "57P02", "57P03":
			return true
		}
		return strings.HasPrefix(server.Code, "08")
	}
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && broken(err)
}
