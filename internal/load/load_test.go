package load_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"damson/internal/load"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/warehouse"
	"damson/internal/warehouse/duckdb"
)

// csvSpec loads d/*.csv, with a bigint and a text, into s.t.
func csvSpec() pipeline.Load {
	return pipeline.Load{
		Files: []string{"d/*.csv"}, Format: "csv", Into: "s.t", MaxRejects: -1, FilenameColumn: "src",
		Columns: []pipeline.Column{{Name: "a", Type: "bigint"}, {Name: "b", Type: "text"}},
	}
}

func TestSecondLoadChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\n1,x\nbad\n")
	p.write("d/2.csv", "2,y\n")
	first := p.load(csvSpec())
	if first.Files != 2 || first.Loaded != 2 || first.Rows != 3 || first.Rejects != 1 || !first.Created {
		t.Errorf("first load: %+v", first)
	}
	tables := []string{"s.t", "damson.rejects", "damson.loaded_files"}
	var before []string
	for _, name := range tables {
		before = append(before, p.sum(name))
	}
	second := p.load(csvSpec())
	if second.Unchanged != 2 || second.Loaded != 0 || second.Rows != 0 || second.Rejects != 0 || second.Bytes != 0 {
		t.Errorf("second load: %+v", second)
	}
	for i, name := range tables {
		if p.sum(name) != before[i] {
			t.Errorf("the second load changed %s", name)
		}
	}
}

func TestChangedFileReplacesItsOwnRows(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/it's 1.csv", "1,x\nbad\n")
	p.write("d/2.csv", "2,y\nworse\n")
	p.load(csvSpec())
	p.write("d/it's 1.csv", "9,z\nBAD\n3,q\n") // other length
	p.load(csvSpec())
	p.write("d/it's 1.csv", "9,z\nBaD\n4,q\n") // same length
	r := p.load(csvSpec())
	if r.Replaced != 1 || r.Loaded != 1 || r.Unchanged != 1 || r.Rows != 2 || r.Rejects != 1 {
		t.Errorf("result %+v", r)
	}
	p.expect("select a, b, src from s.t order by a", "2|y|d/2.csv", "4|q|d/it's 1.csv", "9|z|d/it's 1.csv")
	p.expect(`select file, line, "text" from damson.rejects order by file`, "d/2.csv|2|worse", "d/it's 1.csv|2|BaD")
	p.expect("select file, rows_loaded, rejects from damson.loaded_files order by file", "d/2.csv|1|1", "d/it's 1.csv|2|1")
}

func TestChangedSettingsLoadAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\nNA,y\n")
	p.load(csvSpec())
	spec := csvSpec()
	spec.Nulls = []string{"NA"}
	if r := p.load(spec); r.Replaced != 1 || r.Rows != 2 || r.Rejects != 0 {
		t.Errorf("result %+v", r)
	}
	p.expect("select count(*) from damson.rejects", "0")
	spec.MaxRejects = 7 // decides nothing about the rows
	if r := p.load(spec); r.Unchanged != 1 {
		t.Errorf("result %+v", r)
	}
}

func TestVanishedFilesKeepTheirRows(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\n")
	p.write("d/2.csv", "2,y\n")
	p.write("e/3.csv", "3,z\n")
	p.load(csvSpec())
	other := csvSpec()
	other.Files = []string{"e/*.csv"}
	if r := p.load(other); r.Vanished != 0 || r.Rows != 1 {
		t.Errorf("files of another glob count as vanished: %+v", r)
	}
	if err := os.Remove(filepath.Join(p.dir, "d/1.csv")); err != nil {
		t.Fatal(err)
	}
	r := p.load(csvSpec())
	if r.Vanished != 1 || !slices.Equal(r.Gone, []string{"d/1.csv"}) || r.Unchanged != 1 {
		t.Errorf("result %+v", r)
	}
	p.expect("select count(*) from s.t", "3")
}

func TestDroppedOrEmptiedTableIsLoadedAnew(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{"drop table s.t", "delete from s.t"} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("d/1.csv", "1,x\nbad\n")
			p.load(csvSpec())
			p.exec(statement)
			if r := p.load(csvSpec()); r.Loaded != 1 || r.Rows != 1 || r.Rejects != 1 {
				t.Errorf("result %+v", r)
			}
			p.expect("select count(*) from damson.rejects", "1")
			p.expect("select count(*) from damson.loaded_files", "1")
		})
	}
}

func TestMovedRootLoadsNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("here/d/1.csv", "1,x\n")
	spec := csvSpec()
	spec.Root = filepath.Join(p.dir, "here")
	p.load(spec)
	if err := os.Rename(filepath.Join(p.dir, "here"), filepath.Join(p.dir, "there")); err != nil {
		t.Fatal(err)
	}
	spec.Root = "there"
	if r := p.load(spec); r.Unchanged != 1 || r.Vanished != 0 {
		t.Errorf("result %+v", r)
	}
	p.expect("select src from s.t", "d/1.csv")
}

func TestOneFileIntoTwoTables(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\nbad\n")
	other := csvSpec()
	other.Into = "S.U"
	p.load(csvSpec())
	p.load(other)
	p.write("d/1.csv", "1,x\n")
	p.load(csvSpec())
	p.expect("select target, count(*) from damson.rejects group by 1", "s.u|1")
	p.expect("select a from s.u", "1")
}

func TestMaxRejects(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\noops\n2,y\nx,y\n")
	spec := csvSpec()
	spec.MaxRejects = 2
	p.load(spec)
	p.write("d/2.csv", "worse\n")
	p.load(spec) // only what is read now counts
	before := p.sum("s.t") + p.sum("damson.rejects")
	p.write("d/3.csv", strings.Repeat("3,z\n", 200000)+"a,1\nb,2\nc,3\n")
	p.refuse(spec, "d/3.csv:200001", "More than 2 lines", `column a: "a" is not a bigint`, "max_rejects")
	spec.MaxRejects = 0
	p.refuse(spec, "max_rejects allows none")
	if p.sum("s.t")+p.sum("damson.rejects") != before {
		t.Error("a refused load has written something")
	}
}

// TestManyRejects needs more rejects than go to the table at a time, among good rows of several files.
func TestManyRejects(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i := range 3 {
		p.write(fmt.Sprintf("d/%d.csv", i), strings.Repeat("1,x\nbad\n", 20000))
	}
	spec := csvSpec()
	spec.LineColumn = "line"
	if r := p.load(spec); r.Rows != 60000 || r.Rejects != 60000 || len(r.Evidence) != 5 {
		t.Errorf("rows %d, rejects %d", r.Rows, r.Rejects)
	}
	p.expect(`select count(*), sum(line), count(distinct file), min("text") from damson.rejects`, "60000|1200060000|3|bad")
	p.expect("select sum(line) from s.t", "1200000000")
	p.expect("select sum(rows_loaded), sum(rejects) from damson.loaded_files", "60000|60000")
}

func TestRowsStandInTheOrderOfFilesAndLines(t *testing.T) {
	t.Parallel()
	var sums []string
	for _, threads := range []int{1, 4} {
		p := newPlace(t)
		for i := range 20 {
			p.write(fmt.Sprintf("d/%02d.csv", i), strings.Repeat("1,some text to make it longer than it would be\n", 100+i*600))
		}
		spec := csvSpec()
		spec.LineColumn = "line"
		if _, err := load.Run(t.Context(), p.wh, spec, p.dir, nil, load.Options{Threads: threads}); err != nil {
			t.Fatal(err)
		}
		p.expect("select count(*) from (select src, line, lag(src) over (order by rowid) as s, lag(line) over (order by rowid) as l from s.t) where s is not null and (src, line) <= (s, l)", "0")
		sums = append(sums, p.sum("s.t"))
	}
	if sums[0] != sums[1] {
		t.Error("the number of threads changes the rows")
	}
}

func TestCommittedClaimIsNotLoadedAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\n")
	claims := []run.Claim{{RunID: "r", Task: "load", Attempt: 1}}
	for i := range 2 {
		_, err := load.Run(t.Context(), p.wh, csvSpec(), p.dir, claims, load.Options{})
		if got := errors.Is(err, warehouse.ErrCommitted); got != (i == 1) {
			t.Errorf("load %d: %v", i, err)
		}
	}
	p.expect("select count(*) from s.t", "1")
}

func TestCancelledLoadWritesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", strings.Repeat("1,x\n", 400000))
	ctx, cancel := context.WithCancel(t.Context())
	opts := load.Options{Progress: func(p load.Progress) {
		if p.Rows > 0 {
			cancel()
		}
	}}
	if _, err := load.Run(ctx, p.wh, csvSpec(), p.dir, nil, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	p.expect("select count(*) from information_schema.tables where table_schema = 's'", "0")
}

func TestProgressEndsAtTheTotals(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x\nbad\n")
	p.write("d/2.csv", "2,y\n")
	var last load.Progress
	opts := load.Options{Progress: func(p load.Progress) { last = p }}
	if _, err := load.Run(t.Context(), p.wh, csvSpec(), p.dir, nil, opts); err != nil {
		t.Fatal(err)
	}
	want := load.Progress{Files: 2, FilesTotal: 2, Bytes: 12, BytesTotal: 12, Rows: 2, Rejects: 1}
	if last != want {
		t.Errorf("last progress %+v, want %+v", last, want)
	}
}

// TestLoadsAtOnce runs the same load several times at the same time: the files are loaded once, into a table that was
// loaded before and into one that was only made.
func TestLoadsAtOnce(t *testing.T) {
	t.Parallel()
	for _, into := range []string{"s.t", "s.made"} {
		t.Run(into, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("d/1.csv", "1,x\n")
			p.load(csvSpec())
			p.exec("create table s.made as select * from s.t limit 0")
			p.write("d/2.csv", "2,y\n")
			spec := csvSpec()
			spec.Into = into
			const loads = 4
			failures := make(chan error, loads)
			for range loads {
				go func() {
					_, err := load.Run(t.Context(), p.wh, spec, p.dir, nil, load.Options{})
					failures <- err
				}()
			}
			for range loads {
				if err := <-failures; err != nil {
					t.Error(err)
				}
			}
			p.expect("select a from "+into+" order by a", "1", "2")
		})
	}
}

func TestFilenameFields(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("data/Data/007/Trajectory/a.csv", "1,x\n")
	p.write("data/Data/008/Trajectory/b.csv", "2,y\n")
	spec := csvSpec()
	spec.Files, spec.FilenameFields, spec.FilenameColumn = []string{"data/**/*.csv"}, `Data/(?P<uid>[^/]+)/Trajectory/`, ""
	p.load(spec)
	p.expect("select * from s.t order by a", "1|x|007|data/Data/007/Trajectory/a.csv", "2|y|008|data/Data/008/Trajectory/b.csv")
}

func TestInferredColumnsStayThoseOfTheTable(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	spec := csvSpec()
	spec.Columns, spec.Header = nil, true
	p.write("d/1.csv", "a,b\n1,x\n")
	p.load(spec)
	p.write("d/2.csv", "b,a\ny,1.5\nz,2\n")
	if r := p.load(spec); r.Rows != 1 || r.Rejects != 1 {
		t.Errorf("result %+v", r)
	}
	p.expect("select a, b from s.t order by a", "1|x", "2|z")
}

func TestParquet(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("d/1.csv", "1,x,1.5,true,2007-01-02,10:00,2007-01-02 10:00:00\n,,,,,,\n")
	spec := csvSpec()
	spec.Columns = declare("a bigint, b text, c double, ok boolean, d date, t time, ts timestamp")
	p.load(spec)
	r, err := p.wh.Query(t.Context(), text("select a, b, c, ok, d, t, ts from s.t"))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(p.dir, "d/x.parquet")
	if err := duckdb.WriteParquet(t.Context(), at, r); err != nil {
		t.Fatal(err)
	}
	for _, columns := range [][]pipeline.Column{nil, spec.Columns} {
		again := pipeline.Load{Files: []string{"d/*.parquet"}, Format: "parquet", Into: fmt.Sprintf("s.p%d", len(columns)), Columns: columns, LineColumn: "n"}
		if r := p.load(again); r.Rows != 2 {
			t.Errorf("result %+v", r)
		}
		if r := p.load(again); r.Unchanged != 1 {
			t.Errorf("result %+v", r)
		}
		p.expect("select * from "+again.Into+" order by n",
			"1|x|1.5|true|2007-01-02|10:00:00|2007-01-02 10:00:00|d/x.parquet|1", "∅|∅|∅|∅|∅|∅|∅|d/x.parquet|2")
	}
	spec.Files, spec.Format, spec.Into = []string{"d/*.parquet"}, "parquet", "s.q"
	spec.Columns = slices.Clone(spec.Columns)
	spec.Columns[0].Type = "text"
	p.refuse(spec, `Column "a" is int64 in the file; the load takes it as text`)
}
