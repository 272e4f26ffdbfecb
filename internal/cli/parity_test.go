package cli_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damson/internal/citydata"
	"damson/internal/pgtest"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

var (
	parityData = flag.String("parity-data", "", "a directory in GeoLife's layout, or an archive of one (.tar.xz), for TestParity; none: a generated city")
	parityDays = flag.Int("parity-days", 5, "how many days TestParity's generated city has; 0 = as many as the demo's")
	parityURL  = flag.String("parity-postgres", "", "URL of an empty PostgreSQL database for TestParity; none: it starts a server")
)

// parityTolerance is by how much floats may differ, relative to the greater one: databases add them up in their own order.
const parityTolerance = 1e-9

// site is the GeoLife project on one database.
type site struct {
	name, dir string
	warehouse *warehouse.Warehouse
	report    map[string]any // of the demo, without times and places
	tables    []string       // of all stages, in their order
	models    []string       // names and hashes of all versions that were trained
}

// TestParity runs the GeoLife project on DuckDB and on PostgreSQL, there also with native partitions, and on the Greenplums that
// DAMSON_TEST_GREENPLUM_URL names (separated by commas), each time from the same files. It compares every table of every stage
// row by row, the models byte for byte, and the demo's report. The projects differ in one line of damson.yaml, and in
// `native = True`. `make parity` prints what it finds.
func TestParity(t *testing.T) {
	t.Parallel()
	data := parityFiles(t)
	url := *parityURL
	if url == "" {
		url = pgtest.Database(t)
	}
	embedded := newSite(t, "DuckDB", data, "duckdb:.damson/warehouse.duckdb", false)
	t.Run("PostgreSQL", func(t *testing.T) { compareSites(t, embedded, newSite(t, "PostgreSQL", data, url, false)) })
	t.Run("native partitions", func(t *testing.T) {
		compareSites(t, embedded, newSite(t, "PostgreSQL, native", data, url, true))
	})
	t.Run("Greenplum", func(t *testing.T) {
		urls := os.Getenv("DAMSON_TEST_GREENPLUM_URL")
		if urls == "" {
			t.Skip("DAMSON_TEST_GREENPLUM_URL names no Greenplum")
		}
		for i, url := range strings.Split(urls, ",") {
			for _, native := range []bool{false, true} {
				name := fmt.Sprintf("Greenplum %d", i+1) + map[bool]string{true: ", native"}[native]
				compareSites(t, embedded, newSite(t, name, data, strings.TrimSpace(url), native))
			}
		}
	})
}

// parityFiles gives the directory of the GPS files.
func parityFiles(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	switch {
	case *parityData == "":
		if _, err := citydata.Generate(t.Context(), data, citydata.Options{Seed: 1, Days: *parityDays}); err != nil {
			t.Fatal(err)
		}
	case strings.HasSuffix(*parityData, ".tar.xz"):
		unpack(t, *parityData, data)
	default:
		var err error
		if data, err = filepath.Abs(*parityData); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// newSite runs the demo on one database. With native partitions it then runs each day again by itself, which is when whole
// partitions are exchanged, and trains once more on what came of that.
func newSite(t *testing.T, name, data, url string, native bool) *site {
	t.Helper()
	s := &site{name: name, dir: filepath.Join(t.TempDir(), "geolife")}
	damson(t, ".", "init", s.dir, "--example", "geolife")
	edit(t, s.dir, "damson.yaml", `warehouse: "duckdb:.damson/warehouse.duckdb"`, "warehouse: '"+url+"'")
	edit(t, s.dir, "damson.yaml", "data_dir: data", "data_dir: '"+data+"'")
	if native {
		edit(t, s.dir, "pipelines/geolife.star", "batch = True", "native = True, batch = True")
	}
	if url != "duckdb:.damson/warehouse.duckdb" {
		s.emptyDatabase(t, url)
	}
	s.runDemo(t, data)
	if native {
		days := s.report["models"].([]any)[0].(map[string]any)["scored"].([]any)
		first, last := days[0].(map[string]any)["day"].(string), s.report["last_date"].(string)
		damson(t, s.dir, "backfill", "geolife", "--from", first, "--to", last, "--rerun", "all", "--batch", "1")
		damson(t, s.dir, "run", "geolife_model_training", "--date", last)
	}
	s.readModels(t)
	s.warehouse = openSite(t, s.dir, url)
	if native {
		s.checkPartitions(t)
	}
	return s
}

// checkPartitions makes sure that the database itself has a partition for each day of each daily table.
func (s *site) checkPartitions(t *testing.T) {
	t.Helper()
	for _, table := range s.tables {
		if strings.HasSuffix(table, "_landing") {
			continue
		}
		days, parts := s.count(t, "select count(distinct tdate) from "+table), s.count(t, "select count(*) from pg_inherits where inhparent = '"+table+"'::regclass")
		if parts < days || parts == 0 {
			t.Errorf("%s has %d partitions for %d days", table, parts, days)
		}
	}
}

// count gives the only number of a query's only row.
func (s *site) count(t *testing.T, sql string) int64 {
	t.Helper()
	r, err := s.warehouse.Query(t.Context(), sqltext.Plain("parity", sql))
	if err != nil {
		t.Fatal(err)
	}
	row, err := rows.ReadOne(r)
	if err != nil {
		t.Fatal(err)
	}
	return row[0].(int64)
}

// edit replaces a text that stands in a file of the project.
func edit(t *testing.T, dir, file, old, new string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	writeFile(t, dir, file, strings.ReplaceAll(string(text), old, new))
}

// emptyDatabase drops what an earlier site has left.
func (s *site) emptyDatabase(t *testing.T, url string) {
	t.Helper()
	w := openSite(t, s.dir, url)
	defer w.Close()
	for _, schema := range []string{"geolife", "damson"} {
		if _, err := w.Loose(t.Context(), nil, sqltext.Plain("", "DROP SCHEMA IF EXISTS "+schema+" CASCADE"), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// openSite opens a site's database for the comparison.
func openSite(t *testing.T, dir, url string) *warehouse.Warehouse {
	t.Helper()
	var d driver.Warehouse
	var err error
	if path, embedded := strings.CutPrefix(url, "duckdb:"); embedded {
		d, err = duckdb.Open(t.Context(), duckdb.Options{Path: filepath.Join(dir, path)})
	} else {
		d, err = postgres.Open(t.Context(), url, postgres.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := warehouse.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// runDemo runs the demo and keeps what its report says of the data.
func (s *site) runDemo(t *testing.T, data string) {
	t.Helper()
	out := damson(t, ".", "demo", "--json", "--no-serve", "--dir", s.dir, "--data", data)
	if err := json.Unmarshal([]byte(out), &s.report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	delete(s.report, "seconds")
	delete(s.report, "project")
	for _, each := range s.report["stages"].([]any) {
		stage := each.(map[string]any)
		delete(stage, "seconds")
		if table, ok := stage["table"].(string); ok {
			s.tables = append(s.tables, table)
		}
	}
}

// readModels reads the hashes of the models.
func (s *site) readModels(t *testing.T) {
	t.Helper()
	var versions []struct{ Model, Hash string }
	if err := json.Unmarshal([]byte(damson(t, s.dir, "model", "list", "--json")), &versions); err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		s.models = append(s.models, v.Model+" "+v.Hash)
	}
}

// compareSites compares all that came of the project on two databases, and logs it as a table.
func compareSites(t *testing.T, want, got *site) {
	t.Helper()
	var log strings.Builder
	fmt.Fprintf(&log, "%s against %s\n%-28s %9s  %-32s  %s\n", got.name, want.name, "table", "rows", "checksum", "compared")
	for _, table := range want.tables {
		d := compareTables(t, want, got, table)
		n, sum, err := got.warehouse.Checksum(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		_, wantSum, err := want.warehouse.Checksum(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		if d.none() != (sum == wantSum) {
			t.Errorf("%s: the rows are equal: %v, the checksums are equal: %v", table, d.none(), sum == wantSum)
		}
		fmt.Fprintf(&log, "%-28s %9d  %s  %s\n", table, n, sum, d)
		if d.bad() {
			t.Errorf("%s: %s\n%s", table, d, strings.Join(d.first, "\n"))
		}
	}
	all := slices.Concat(want.models, got.models)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 2 {
		for _, model := range all {
			name, hash, _ := strings.Cut(model, " ")
			fmt.Fprintf(&log, "%-28s %9s  %s  equal\n", "model "+name, "", hash)
		}
	} else {
		t.Errorf("the models differ: %v on %s, %v on %s", want.models, want.name, got.models, got.name)
	}
	if d := cmp.Diff(want.report, got.report, cmpopts.EquateApprox(parityTolerance, 0)); d != "" {
		t.Errorf("the reports differ (-%s +%s):\n%s", want.name, got.name, d)
	}
	t.Log(log.String())
}

// difference is how two tables differ.
type difference struct {
	values, floats int64 // compared, and floats among them that are not the same bits
	worst          float64
	where          string   // of the worst
	first          []string // that are no floats, or differ by more than the tolerance
	others         int64
}

func (d *difference) none() bool { return d.floats == 0 && d.others == 0 }

func (d *difference) bad() bool { return d.others > 0 || d.worst > parityTolerance }

// String tells it in one line.
func (d *difference) String() string {
	switch {
	case d.others > 0:
		return fmt.Sprintf("%d of %d values differ", d.others, d.values)
	case d.floats > 0:
		return fmt.Sprintf("%d of %d values differ, by %.1e at most, relative (%s)", d.floats, d.values, d.worst, d.where)
	}
	return fmt.Sprintf("%d values equal", d.values)
}

// mostShown is how many differing values of a table are shown.
const mostShown = 5

// add compares two values of a column.
func (d *difference) add(row, column string, want, got any) {
	d.values++
	if want == got {
		return
	}
	a, isFloat := want.(float64)
	b, both := got.(float64)
	if isFloat && both {
		if math.Float64bits(a) == math.Float64bits(b) {
			return
		}
		off := math.Abs(a-b) / max(math.Abs(a), math.Abs(b))
		if d.floats++; off > d.worst {
			d.worst, d.where = off, column
		}
		if off <= parityTolerance {
			return
		}
	}
	if d.others++; len(d.first) < mostShown {
		d.first = append(d.first, fmt.Sprintf("  %s: %s is %v, want %v", row, column, got, want))
	}
}

// compareTables walks through the rows of a table on both sides in one order: by all columns that are no floats, and by those last.
func compareTables(t *testing.T, want, got *site, table string) *difference {
	t.Helper()
	columns := tableColumns(t, want.warehouse, table)
	if d := cmp.Diff(columns, tableColumns(t, got.warehouse, table)); d != "" {
		t.Fatalf("%s has other columns (-%s +%s):\n%s", table, want.name, got.name, d)
	}
	a, b := newCursor(t, want, table, columns), newCursor(t, got, table, columns)
	d := &difference{}
	names := slices.Sorted(maps.Keys(columns))
	for n := 1; ; n++ {
		left, right := a.next(t), b.next(t)
		if !left && !right {
			return d
		}
		if left != right {
			d.others++
			d.first = append(d.first, fmt.Sprintf("  %s has more than %d rows, %s has not",
				map[bool]string{true: want.name, false: got.name}[left], n-1, map[bool]string{true: got.name, false: want.name}[left]))
			return d
		}
		for _, name := range names {
			d.add(fmt.Sprint("row ", n), name, a.value(name), b.value(name))
		}
	}
}

// tableColumns gives a table's columns and their portable types.
func tableColumns(t *testing.T, w *warehouse.Warehouse, table string) map[string]driver.Type {
	t.Helper()
	columns, err := w.Table(t.Context(), table)
	if err != nil || columns == nil {
		t.Fatalf("table %s: %v", table, err)
	}
	types := map[string]driver.Type{}
	for _, c := range columns {
		types[c.Name] = c.Type
	}
	return types
}

// cursor goes through the rows of a table.
type cursor struct {
	reader array.RecordReader
	at     map[string]int // the columns' places
	row    int            // of the batch
	count  int            // of its rows
}

func newCursor(t *testing.T, s *site, table string, columns map[string]driver.Type) *cursor {
	t.Helper()
	var order, floats []string
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		switch columns[name] {
		case driver.Text:
			order = append(order, sqltext.QuoteIdent(name)+` COLLATE "C" NULLS LAST`)
		case driver.Double:
			floats = append(floats, sqltext.QuoteIdent(name)+" NULLS LAST")
		default:
			order = append(order, sqltext.QuoteIdent(name)+" NULLS LAST")
		}
	}
	sql := "SELECT * FROM " + table + " ORDER BY " + strings.Join(append(order, floats...), ", ")
	r, err := s.warehouse.Query(t.Context(), sqltext.Plain("parity", sql))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	c := &cursor{reader: r, at: map[string]int{}}
	for i, f := range r.Schema().Fields() {
		c.at[f.Name] = i
	}
	return c
}

// next goes to the next row.
func (c *cursor) next(t *testing.T) bool {
	t.Helper()
	for c.row++; c.row >= c.count; c.row = 0 {
		if !c.reader.Next() {
			if err := c.reader.Err(); err != nil {
				t.Fatal(err)
			}
			return false
		}
		c.count = int(c.reader.RecordBatch().NumRows())
	}
	return true
}

func (c *cursor) value(column string) any {
	return rows.Value(c.reader.RecordBatch().Column(c.at[column]), c.row)
}
