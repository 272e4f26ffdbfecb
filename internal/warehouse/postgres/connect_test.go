package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"damson/internal/diag"
	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

// with changes a URL.
func with(t testing.TB, address string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func asUser(t testing.TB, address, user, password string) string {
	t.Helper()
	return with(t, address, func(u *url.URL) { u.User = url.UserPassword(user, password) })
}

// parameter sets one of a URL's parameters.
func parameter(t testing.TB, address, name, value string) string {
	t.Helper()
	return with(t, address, func(u *url.URL) {
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	})
}

// at moves a URL to another port of this machine.
func at(t testing.TB, address string, port int) string {
	t.Helper()
	return with(t, address, func(u *url.URL) { u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) })
}

// cannotOpen opens a warehouse that cannot be opened and gives why.
func cannotOpen(t testing.TB, address string) diag.Finding {
	t.Helper()
	w, err := postgres.Open(t.Context(), address, postgres.Options{})
	if err == nil {
		_ = w.Close()
		t.Fatal("it opens")
	}
	var f diag.Finding
	if !errors.As(err, &f) {
		t.Fatalf("error is %T (%v), want a diag.Finding", err, err)
	}
	if f.Detail == "" || f.Fix == "" {
		t.Errorf("the finding does not say why and what to do: %v", f)
	}
	for _, secret := range []string{"secret", pgtest.Password, url.PathEscape(pgtest.Password), "p@ss"} {
		for _, text := range []string{f.Error(), fmt.Sprintf("%v", f.Cause), fmt.Sprintf("%v", errors.Unwrap(f.Cause))} {
			if strings.Contains(text, secret) {
				t.Errorf("the password is shown: %s", text)
			}
		}
	}
	return f
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestCannotOpen(t *testing.T) {
	t.Parallel()
	server := pgtest.StartWith(t, pgtest.Config{
		HBA: "host all anybody all trust\nhost all nobody all trust\nhostssl all guarded all scram-sha-256\nhost all " + pgtest.User + ",crowd,outsider all scram-sha-256\n"})
	good := server.Database(t)
	admin := open(t, good, postgres.Options{})
	name := ask(t, admin, `SELECT current_database()`)[0][0]
	exec(t, admin, `CREATE ROLE guarded LOGIN PASSWORD 'secret'`, `CREATE ROLE crowd LOGIN PASSWORD 'secret' CONNECTION LIMIT 0`, `CREATE ROLE outsider LOGIN PASSWORD 'secret'`,
		fmt.Sprintf(`REVOKE CONNECT ON DATABASE %s FROM PUBLIC`, name), fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO crowd, guarded`, name))
	for _, c := range []struct {
		what, url string
		class     driver.Class // "" = the cause is no error of a driver
		parts     []string
	}{
		{"port", "postgres://u:secret@host:port/x", "", []string{"cannot be read"}},
		{"escape", "postgres://u:secret%zz@host/x", "", []string{"cannot be read", "%40"}},
		{"no URL", "host=localhost password=secret", "", []string{"cannot be read"}},
		{"no root certificate", parameter(t, good, "sslrootcert", "/no/such/file"), "", []string{"cannot be read"}},
		{"nothing listens", at(t, good, freePort(t)), driver.Connection, []string{"Nothing takes connections", "127.0.0.1:"}},
		{"no such host", with(t, good, func(u *url.URL) { u.Host = "nowhere.invalid" }), driver.Connection, []string{`host "nowhere.invalid"`}},
		{"wrong password", asUser(t, good, pgtest.User, "secret"), driver.Permission, []string{"does not take the password of user"}},
		{"unknown user, password asked", asUser(t, good, "crowds", "secret"), driver.Permission, []string{`"crowds"`}},
		{"unknown user, trusted", asUser(t, good, "nobody", "secret"), driver.Permission, []string{`role "nobody" does not exist`, "CREATE ROLE"}},
		{"no such database", with(t, good, func(u *url.URL) { u.Path = "/none" }), driver.UnknownName, []string{`no database "none"`, "createdb none"}},
		{"no right to connect", asUser(t, good, "outsider", "secret"), driver.Permission, []string{"GRANT CONNECT"}},
		{"too many connections", asUser(t, good, "crowd", "secret"), driver.Connection, []string{"no free connection", "max_connections of the environment"}},
		{"the server asks for TLS", asUser(t, good, "guarded", "secret"), driver.Permission, []string{"without TLS", "sslmode=verify-full"}},
		{"the server has no TLS", parameter(t, good, "sslmode", "require"), driver.Connection, []string{"speaks no TLS", "ssl = on"}},
		{"a setting that is not", parameter(t, good, "no_such_setting", "1"), driver.Syntax, []string{"no_such_setting"}},
		{"a bad value", parameter(t, good, "work_mem", "much"), driver.Syntax, []string{"work_mem"}},
		{"another kind", strings.Replace(good, "postgres://", "greenplum://", 1), "", []string{"the server is PostgreSQL", "Begin the URL with postgres://"}},
	} {
		f := cannotOpen(t, c.url)
		if c.class != "" && asError(t, f).Class != c.class {
			t.Errorf("%s: class %q, want %q", c.what, asError(t, f).Class, c.class)
		}
		for _, part := range c.parts {
			if !strings.Contains(f.Error(), part) {
				t.Errorf("%s: %q is not in:\n%v", c.what, part, f)
			}
		}
	}
	w := open(t, strings.Replace(good, "postgres://", "postgresql://", 1), postgres.Options{})
	if c := w.Capabilities(); c.Kind != "postgres" || !strings.HasPrefix(c.Version, strings.Split(ask(t, w, `SHOW server_version`)[0][0].(string), " ")[0]) || c.OneProcess {
		t.Errorf("capabilities are %+v", c)
	}
}
