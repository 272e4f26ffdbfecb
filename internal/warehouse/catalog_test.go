package warehouse

import (
	"testing"

	"damson/internal/warehouse/driver"
)

func TestShapeForgetsDatesOnly(t *testing.T) {
	t.Parallel()
	day := func(d string) string {
		return `SELECT a, 'x' AS "2007-04-12" FROM t -- 2007
WHERE d = '` + d + `' AND n = 20070412`
	}
	of := func(sql string) string {
		key, ok := shape(sql)
		if !ok {
			t.Errorf("%s has no shape", sql)
		}
		return key
	}
	if of(day("2007-04-12")) != of(day("2007-04-13")) || of(day("2007-04-12 10:00:00+00:00")) != of(day("20070413")) {
		t.Error("two days of a template differ in shape")
	}
	for _, other := range []string{day("2007-04-12x"), day("2007-04"), "SELECT a, 'y' AS \"2007-04-12\" FROM t -- 2007\nWHERE d = '2007-04-12' AND n = 20070412"} {
		if of(other) == of(day("2007-04-12")) {
			t.Errorf("%s has the shape of another statement", other)
		}
	}
	for _, sql := range []string{"SELECT * FROM (PIVOT t ON mode)", "SELECT * FROM Read_csv('x')", "SELECT * FROM 'data/x.csv.gz'", "SELECT * FROM query('SELECT 1')"} {
		if _, ok := shape(sql); ok {
			t.Errorf("%s has a shape, though its columns hang on data", sql)
		}
	}
}

func TestWhatMayChangeColumns(t *testing.T) {
	t.Parallel()
	for sql, may := range map[string]bool{
		"SELECT 1": false, "-- x\nwith a as (select 1) select * from a": false, "(SELECT 1)": false, "INSERT INTO t VALUES (1)": false, "": false,
		"CREATE TABLE t (x int)": true, "/* x */ alter table t add column y int": true, "DROP VIEW v": true, "SET schema = 's'": true, "USE s": true,
	} {
		if changesCatalog(sql) != may {
			t.Errorf("%q: %v", sql, !may)
		}
	}
}

func TestCatalogForgetsWhatMayHaveChanged(t *testing.T) {
	t.Parallel()
	columns := []driver.Column{{Name: "a", Type: driver.Bigint}}
	var c catalog
	old := c.now()
	c.remember(old, "t", columns)
	if c.recall(old, "t") == nil {
		t.Fatal("nothing is remembered")
	}
	end := c.change()
	if c.recall(old, "t") != nil {
		t.Error("something is recalled while the catalog changes")
	}
	during := c.now()
	c.remember(during, "t", columns)
	end()
	end()
	if c.recall(c.now(), "t") != nil {
		t.Error("what was asked during a change is recalled after it")
	}
	c.remember(old, "t", columns)
	c.remember(during, "t", columns)
	if c.recall(c.now(), "t") != nil {
		t.Error("a transaction from before a change has its columns remembered after it")
	}
	c.remember(c.now(), "t", columns)
	if c.recall(old, "t") != nil || c.recall(c.now(), "t") == nil {
		t.Error("the new columns are recalled by the wrong transaction")
	}
	shared := catalog{off: true}
	shared.remember(shared.now(), "t", columns)
	if shared.recall(shared.now(), "t") != nil {
		t.Error("columns of a database that others change are remembered")
	}
}
