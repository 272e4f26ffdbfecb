package postgres_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"damson/internal/pgtest"
	"damson/internal/warehouse/postgres"
)

// fake is a server that speaks only the beginning of the protocol, for what the servers here do not do: to be of another
// kind or version, or to be starting. Its greeting answers a session's start; whatever is asked, it tells of its version.
type fake struct {
	refuse func(parameters map[string]string) *pgproto3.ErrorResponse // nil: take everybody
	row    []string                                                   // version(), server_version, server_version_num, gp_server_version
}

// start gives the URL of the fake, which ends with the test.
func (f fake) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); sessions.Wait() })
	return "postgres://u:secret@" + l.Addr().String() + "/db?sslmode=disable"
}

func (f fake) serve(c net.Conn) {
	defer c.Close()
	b := pgproto3.NewBackend(c, c)
	first, err := b.ReceiveStartupMessage()
	start, ok := first.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	if f.refuse != nil {
		if e := f.refuse(start.Parameters); e != nil {
			b.Send(e)
			_ = b.Flush()
			return
		}
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if b.Flush() != nil {
			return
		}
		m, err := b.Receive()
		if _, ok := m.(*pgproto3.Query); err != nil || !ok {
			return
		}
		var fields []pgproto3.FieldDescription
		var values [][]byte
		for _, v := range append(f.row, "on", "0", "0") {
			fields = append(fields, pgproto3.FieldDescription{Name: []byte("x"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
			if v == "" {
				values = append(values, nil)
				continue
			}
			values = append(values, []byte(v))
		}
		b.Send(&pgproto3.RowDescription{Fields: fields})
		b.Send(&pgproto3.DataRow{Values: values})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	}
}

var (
	gp6        = []string{"PostgreSQL 9.4.26 (Greenplum Database 6.24.3 build commit:25d3498a400ca5230e81abb94861f23389315213) on x86_64", "9.4.26", "90426", "6.24.3 build commit:25d3498a400ca5230e81abb94861f23389315213"}
	gp5        = []string{"PostgreSQL 8.3.23 (Greenplum Database 5.29.1 build commit:x) on x86_64", "8.3.23", "80323", "5.29.1 build commit:x"}
	gp7        = []string{"PostgreSQL 12.12 (Greenplum Database 7.0.0 build commit:x) on x86_64", "12.12", "120012", "7.0.0 build commit:x"}
	cloudberry = []string{"PostgreSQL 14.4 (Apache Cloudberry 2.0.0-incubating build 1) on x86_64", "14.4", "140004", "2.0.0-incubating build 1"}
	pg12       = []string{"PostgreSQL 12.22 on x86_64", "12.22", "120022", ""}
	pg17       = []string{"PostgreSQL 17.2 (Debian 17.2-1) on x86_64", "17.2 (Debian 17.2-1)", "170002", ""}
)

// bare refuses, as Greenplum 6 does, a session that sets what it has not.
func bare(parameters map[string]string) *pgproto3.ErrorResponse {
	for _, name := range []string{"jit", "client_connection_check_interval"} {
		if _, ok := parameters[name]; ok {
			return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
		}
	}
	return nil
}

// blind refuses, as PostgreSQL does on systems that do not tell, to look whether its client is there.
func blind(parameters map[string]string) *pgproto3.ErrorResponse {
	if _, ok := parameters["client_connection_check_interval"]; !ok {
		return nil
	}
	return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "22023", Message: `invalid value for parameter "client_connection_check_interval": 2000`}
}

func TestKindsAndVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scheme        string
		server        fake
		kind, version string // "" = refused
		part          string
	}{
		{scheme: "greenplum", server: fake{row: gp6, refuse: bare}, kind: "greenplum", version: "6.24.3 (PostgreSQL 9.4.26)"},
		{scheme: "greenplum", server: fake{row: gp7}, kind: "greenplum", version: "7.0.0 (PostgreSQL 12.12)"},
		{scheme: "greenplum", server: fake{row: cloudberry}, kind: "greenplum", version: "Cloudberry 2.0.0-incubating (PostgreSQL 14.4)"},
		{scheme: "postgres", server: fake{row: pg17, refuse: blind}, kind: "postgres", version: "17.2"},
		{scheme: "postgres", server: fake{row: pg17}, kind: "postgres", version: "17.2"},
		{scheme: "greenplum", server: fake{row: gp5}, part: "needs Greenplum 6 or later"},
		{scheme: "postgres", server: fake{row: pg12}, part: "needs PostgreSQL 13 or later"},
		{scheme: "postgres", server: fake{row: gp7}, part: "Begin the URL with greenplum://"},
		{scheme: "postgresql", server: fake{row: gp7}, part: "Its URL begins with postgresql://"},
		{scheme: "greenplum", server: fake{row: pg17}, part: "Begin the URL with postgres://"},
	} {
		url := strings.Replace(c.server.start(t), "postgres://", c.scheme+"://", 1)
		if c.part != "" {
			if f := cannotOpen(t, url); !strings.Contains(f.Error(), c.part) {
				t.Errorf("%s at %s: %q is not in %v", c.server.row[0], c.scheme, c.part, f)
			}
			continue
		}
		w := open(t, url, postgres.Options{})
		if got := w.Capabilities(); got.Kind != c.kind || got.Version != c.version {
			t.Errorf("%s is %+v", c.server.row[0], got)
		}
	}
}

func TestServersThatTakeNobody(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct{ message, part string }{
		"57P03": {"the database system is starting up", "Wait until it has started"},
		"53300": {"sorry, too many clients already", "max_connections"},
		"08P01": {"unsupported startup parameter: jit", "ignore_startup_parameters"},
		"28000": {`no pg_hba.conf entry for host "10.0.0.1", user "u", database "db", no encryption`, "sslmode=verify-full"},
	} {
		url := fake{refuse: func(map[string]string) *pgproto3.ErrorResponse {
			return &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: c.message}
		}}.start(t)
		if f := cannotOpen(t, url); !strings.Contains(f.Fix, c.part) || !strings.Contains(f.Detail, c.message) {
			t.Errorf("%s gives %v", code, f)
		}
	}
	// What is no PostgreSQL at all.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.Close()
		}
	}()
	cannotOpen(t, "postgres://u:"+pgtest.Password[2:4]+"secret@"+l.Addr().String()+"/db")
}
