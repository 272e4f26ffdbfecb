package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

// authority is a certificate authority of a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string // with its certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, encode("CERTIFICATE", der), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// sign gives a server's certificate and key.
func (a authority) sign(t *testing.T, change func(*x509.Certificate)) pgtest.Config {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	change(template)
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pgtest.Config{Certificate: encode("CERTIFICATE", der), Key: encode("EC PRIVATE KEY", keyDER), HBA: "hostssl all all all scram-sha-256\n"}
}

// verified asks for TLS whose certificate is checked.
func verified(t *testing.T, address, root string) string {
	t.Helper()
	return with(t, address, func(u *url.URL) { u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {root}}.Encode() })
}

func TestTLS(t *testing.T) {
	t.Parallel()
	right, wrong := newAuthority(t), newAuthority(t)
	server := pgtest.StartWith(t, right.sign(t, func(*x509.Certificate) {})).URL()
	w := open(t, verified(t, server, right.file), postgres.Options{})
	if got := ask(t, w, `SELECT ssl, version LIKE 'TLSv1._' FROM pg_stat_ssl WHERE pid = pg_backend_pid()`)[0]; got[0] != true || got[1] != true {
		t.Errorf("the session's TLS is %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := w.Exec(ctx, endless); ended <- err }()
	until(t, w, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT count(*) FROM generate_series%'`, int64(1))
	cancel() // the request to stop goes over TLS as well
	if e := asError(t, <-ended); e.Class != driver.Cancelled {
		t.Errorf("%q %v", e.Class, e)
	}
	f := cannotOpen(t, verified(t, server, wrong.file))
	if e := asError(t, f); e.Class != driver.Connection || !strings.Contains(f.Error(), "not signed by an authority") || !strings.Contains(f.Error(), "sslrootcert") {
		t.Errorf("a certificate of another authority: %v", f)
	}
	if f := cannotOpen(t, parameter(t, server, "sslmode", "disable")); !strings.Contains(f.Error(), "without TLS") {
		t.Errorf("no TLS where it is asked for: %v", f)
	}
	if f := cannotOpen(t, asUser(t, verified(t, server, right.file), pgtest.User, "secret")); !strings.Contains(f.Error(), "does not take the password") {
		t.Errorf("a wrong password over TLS: %v", f)
	}
}

func TestTLSOfAnotherServer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for part, change := range map[string]func(*x509.Certificate){
		"for another host": func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"db.example.org"}, nil },
		"is not valid":     func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) },
	} {
		server := pgtest.StartWith(t, ca.sign(t, change)).URL()
		if f := cannotOpen(t, verified(t, server, ca.file)); !strings.Contains(f.Detail, part) {
			t.Errorf("%q is not in %v", part, f)
		}
	}
}
