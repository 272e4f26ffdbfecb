package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/diag"
	"damson/internal/warehouse/driver"
)

// openError is connectError as the finding of a warehouse that cannot be opened.
func (w *Warehouse) openError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	e := (*driver.Error)(nil)
	if !errors.As(w.connectError(err), &e) {
		return err
	}
	return diag.Finding{Severity: diag.Error, Summary: fmt.Sprintf("The warehouse's %s cannot be opened", w.place),
		Detail: e.Message, Fix: e.Hint, Cause: e}
}

// connectError tells why no connection could be made, and what to do.
func (w *Warehouse) connectError(err error) error {
	e := &driver.Error{Class: driver.Connection, Position: -1, Cause: err}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		e.Code = said.Code
		e.Class, e.Message, e.Hint = w.refused(said)
		return e
	}
	e.Message, e.Hint = w.unreached(err)
	return e
}

// noneFree is the error of a process whose connections are all in use.
func (w *Warehouse) noneFree() error {
	return &driver.Error{Class: driver.Connection, Position: -1,
		Message: fmt.Sprintf("All %d connections of this process have been in use for %s.", w.pool.Config().MaxConns, poolPatience),
		Hint:    "Raise max_connections of the environment in damson.yaml, or let fewer tasks run at a time."}
}

// refused tells what the server's refusal means (SQLSTATE, appendix A of PostgreSQL's manual).
func (w *Warehouse) refused(said *pgconn.PgError) (class driver.Class, message, hint string) {
	text := strings.TrimSuffix(said.Message, ".")
	switch said.Code {
	case "28P01":
		return driver.Permission, fmt.Sprintf("The server %s does not take the password of user %q, or there is no such user.", w.place.server(), w.place.user),
			"Check user and password of the warehouse's URL (or PGUSER, PGPASSWORD, ~/.pgpass)."
	case "28000":
		switch {
		case strings.Contains(text, "no encryption"), strings.Contains(text, "SSL off"):
			return driver.Permission, fmt.Sprintf("The server %s takes no connection without TLS for this user and database (%s).", w.place.server(), text),
				"Write sslmode=verify-full (and sslrootcert=FILE for a certificate authority of your own) into the warehouse's URL, or ask for a line in pg_hba.conf."
		case strings.Contains(text, "role"):
			return driver.Permission, fmt.Sprintf("The server %s does not know the user: %s.", w.place.server(), text),
				"Correct the user in the warehouse's URL, or have it made: CREATE ROLE … LOGIN."
		}
		return driver.Permission, fmt.Sprintf("The server %s does not let user %q in: %s.", w.place.server(), w.place.user, text),
			"Check user and password of the warehouse's URL, and the server's pg_hba.conf."
	case "3D000":
		return driver.UnknownName, fmt.Sprintf("There is no database %q on the server %s.", w.place.database, w.place.server()),
			fmt.Sprintf("Create it (createdb %s), or correct its name in the warehouse's URL.", w.place.database)
	case "42501":
		return driver.Permission, fmt.Sprintf("User %q may not connect to database %q: %s.", w.place.user, w.place.database, text),
			fmt.Sprintf("As its owner: GRANT CONNECT ON DATABASE %q TO %q.", w.place.database, w.place.user)
	case "53300":
		return driver.Connection, fmt.Sprintf("The server %s has no free connection: %s.", w.place.server(), text),
			"Stop what holds connections, raise max_connections on the server, or lower max_connections of the environment in damson.yaml."
	case "57P03":
		return driver.Connection, fmt.Sprintf("The server %s takes no connections yet: %s.", w.place.server(), text), "Wait until it has started, then run again."
	case "57P01", "57P02":
		return driver.Connection, fmt.Sprintf("The server %s is stopping: %s.", w.place.server(), text), "Run again once it takes connections."
	case "08P01":
		if strings.Contains(text, "startup parameter") {
			return driver.Connection, fmt.Sprintf("A connection pooler at %s does not take the session's settings (%s).", w.place.server(), text),
				"Connect to the database itself rather than through the pooler, or have the pooler ignore them (PgBouncer: ignore_startup_parameters) with pool_mode = session."
		}
	case "42704", "22023":
		return driver.Syntax, fmt.Sprintf("The server %s does not take a setting: %s.", w.place.server(), text), "Correct the parameters behind ? in the warehouse's URL."
	}
	return classify(said), fmt.Sprintf("The server %s says: %s.", w.place.server(), text), said.Hint
}

// unreached tells why a server was not reached.
func (w *Warehouse) unreached(err error) (message, hint string) {
	var (
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	at := w.place.server()
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("No address was found for the host %q.", dns.Name), "Correct the host in the warehouse's URL, or check the network's name service."
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return fmt.Sprintf("Nothing takes connections at %s.", at), "Start PostgreSQL there, or correct host and port in the warehouse's URL."
	case errors.As(err, &unknownCA):
		return fmt.Sprintf("The certificate of %s is not signed by an authority that is trusted here.", at),
			"Name the right authority's certificate with sslrootcert=FILE in the warehouse's URL. If it should be right, somebody may be listening in."
	case errors.As(err, &name):
		return fmt.Sprintf("The certificate of %s is for another host: %v.", at, name), "Write the host that the certificate names into the warehouse's URL."
	case errors.As(err, &invalid):
		return fmt.Sprintf("The certificate of %s is not valid: %v.", at, invalid), "Have the server's certificate renewed, and check this machine's clock."
	case strings.Contains(err.Error(), "server refused TLS connection"), errors.As(err, &record):
		return fmt.Sprintf("The server %s speaks no TLS, which the warehouse's URL asks for.", at),
			"Switch TLS on at the server (ssl = on), or write sslmode=disable into the URL when the network is trusted."
	case pgconn.Timeout(err), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("The server %s does not answer within %s.", at, w.patience), "Check host and port in the warehouse's URL, and whether a firewall lies between."
	}
	return fmt.Sprintf("Connecting to %s failed: %s.", at, strings.TrimSuffix(lastLine(err), ".")), "Check host, port and sslmode in the warehouse's URL, and the server's log."
}
