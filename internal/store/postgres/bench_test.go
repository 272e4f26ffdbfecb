package postgres_test

import (
	"testing"

	"damson/internal/pgtest"
	"damson/internal/store/driver"
	"damson/internal/store/postgres"
	"damson/internal/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	url := pgtest.Database(b)
	storetest.Benchmark(b, func(b *testing.B) driver.DB {
		db, err := postgres.Open(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}
