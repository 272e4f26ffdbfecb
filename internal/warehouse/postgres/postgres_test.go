package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/drivertest"
	"damson/internal/warehouse/postgres"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func open(t testing.TB, url string, o postgres.Options) *postgres.Warehouse {
	t.Helper()
	w, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestConformance(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) driver.Warehouse { return open(t, pgtest.Database(t), postgres.Options{}) })
}

// greenplumURLs names, separated by commas, databases of the Greenplum family; the tests make and drop databases beside them.
const greenplumURLs = "DAMSON_TEST_GREENPLUM_URL"

func TestConformanceOnGreenplum(t *testing.T) {
	urls := os.Getenv(greenplumURLs)
	if urls == "" {
		t.Skipf("%s names no database; the suite ran on PostgreSQL only", greenplumURLs)
	}
	for i, url := range strings.Split(urls, ",") {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			drivertest.Run(t, func(t *testing.T) driver.Warehouse { return open(t, greenplumDatabase(t, url), postgres.Options{}) })
		})
	}
}

// greenplumDatabase makes a database on the server of a URL, for one test.
func greenplumDatabase(t *testing.T, address string) string {
	t.Helper()
	admin := open(t, address, postgres.Options{MaxConns: 1})
	name := fmt.Sprintf("damson_test_%d_%d", os.Getpid(), databases.Add(1))
	exec(t, admin, `CREATE DATABASE `+name+` TEMPLATE template0`)
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), `DROP DATABASE `+name); err != nil {
			t.Error(err)
		}
	})
	return with(t, address, func(u *url.URL) { u.Path = "/" + name })
}

var databases atomic.Int64
