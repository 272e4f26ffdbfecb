package load_test

import (
	"os"
	"path/filepath"
	"testing"

	"damson/internal/pipeline"
)

// TestRefusals are loads that cannot be: each has one clear finding and writes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const point = "39.9,116.3,0,492,39744.1,2008-10-23,02:53:04\r\n"
	tests := []struct {
		name  string
		setup func(p *place)
		spec  func(s *pipeline.Load)
		texts []string
	}{
		{name: "no file matches", spec: func(s *pipeline.Load) { s.Files = []string{"d/*.plt"} },
			texts: []string{`No files match "d/*.plt"`, "/d nothing matches", "holds 1.csv, 2.csv"}},
		{name: "a directory that is not there", spec: func(s *pipeline.Load) { s.Files = []string{"Dat/**/*.csv"} },
			setup: func(p *place) { p.write("Data/x/1.csv", "1,x") },
			texts: []string{`No files match "Dat/**/*.csv"`, `Did you mean "Data"?`}},
		{name: "an empty directory", spec: func(s *pipeline.Load) { s.Files = []string{"e/*"} },
			setup: func(p *place) { must(p.t, os.Mkdir(filepath.Join(p.dir, "e"), 0o755)) },
			texts: []string{`No files match "e/*"`, "is empty"}},
		{name: "one glob of two matches nothing", spec: func(s *pipeline.Load) { s.Files = append(s.Files, "d/*.cvs") },
			texts: []string{`No files match "d/*.cvs"`}},
		{name: "a bad glob", spec: func(s *pipeline.Load) { s.Files = []string{"d/[a.csv"} }, texts: []string{"Bad glob", "[a.csv"}},
		{name: "no globs", spec: func(s *pipeline.Load) { s.Files = nil }, texts: []string{"A load without files"}},
		{name: "a directory for a file", spec: func(s *pipeline.Load) { s.Files = []string{"d"} },
			texts: []string{"A directory where a file should be", `/d/*"`}},
		{name: "a truncated gzip file",
			setup: func(p *place) { z := gzipped(p.t, "1,x\n2,y\n"); p.write("d/3.csv", z[:len(z)-9]) },
			texts: []string{"A damaged file", "d/3.csv", "ends in the middle"}},
		{name: "a truncated zstd file",
			setup: func(p *place) { z := zstded(p.t, "1,x\n2,y\n"); p.write("d/3.csv", z[:len(z)-5]) },
			texts: []string{"A damaged file", "d/3.csv"}},
		{name: "a gzip file with a wrong checksum",
			setup: func(p *place) {
				z := []byte(gzipped(p.t, "1,x\n2,y\n"))
				z[len(z)-6] ^= 1
				p.write("d/3.csv", string(z))
			},
			texts: []string{"A damaged file", "d/3.csv", "checksum"}},
		{name: "a zip archive", setup: func(p *place) { p.write("d/3.csv", "PK\x03\x04xxxx") }, texts: []string{"d/3.csv is a zip archive"}},
		{name: "UTF-16", setup: func(p *place) { p.write("d/3.csv", "\xff\xfe1\x00,\x00x\x00") }, texts: []string{"UTF-16", "iconv"}},
		{name: "an unknown format", spec: func(s *pipeline.Load) { s.Format = "cvs" }, texts: []string{"Unknown file format", `"csv"?`}},
		{name: "an unknown type", spec: func(s *pipeline.Load) { s.Columns[0].Type = "bigit" }, texts: []string{"Unknown column type", `"bigint"?`}},
		{name: "a long delimiter", spec: func(s *pipeline.Load) { s.Delimiter = "||" }, texts: []string{"Bad delimiter"}},
		{name: "a bad table name", spec: func(s *pipeline.Load) { s.Into = "a.b.c.d" }, texts: []string{"Bad table name"}},
		{name: "two columns of one name", spec: func(s *pipeline.Load) { s.LineColumn = "A" }, texts: []string{"Two columns of one name"}},
		{name: "a name that fields do not match", spec: func(s *pipeline.Load) { s.FilenameFields = `u(?P<uid>\d+)` },
			texts: []string{"d/1.csv", "does not match filename_fields"}},
		{name: "fields without a name", spec: func(s *pipeline.Load) { s.FilenameFields = `(\d+)` }, texts: []string{"no named group"}},
		{name: "a bad expression", spec: func(s *pipeline.Load) { s.FilenameFields = `(` }, texts: []string{"Bad regular expression"}},
		{name: "an unknown column in a header", spec: func(s *pipeline.Load) { s.Header = true },
			setup: func(p *place) { p.write("d/1.csv", "a,b\n"); p.write("d/2.csv", "aa,b\n") },
			texts: []string{"d/2.csv:1", `"aa"`, `Did you mean "a"?`}},
		{name: "a column that a header lacks", spec: func(s *pipeline.Load) { s.Header = true },
			setup: func(p *place) { p.write("d/1.csv", "a,b\n"); p.write("d/2.csv", "b\n") },
			texts: []string{"d/2.csv:1", `no column "a"`}},
		{name: "a column twice in a header", spec: func(s *pipeline.Load) { s.Header = true },
			setup: func(p *place) { p.write("d/1.csv", "a,b,A\n") }, texts: []string{"d/1.csv:1", "more than once"}},
		{name: "a table with other types", setup: func(p *place) {
			p.exec("create schema s")
			p.exec("create table s.t (a text, b text, src text)")
		}, texts: []string{`Column "a" of s.t is text; the load fills it with bigint`}},
		{name: "a table without the file's column", setup: func(p *place) {
			p.exec("create schema s")
			p.exec("create table s.t (a bigint, b text)")
		}, texts: []string{`s.t has no column "src"`}},
		{name: "nothing to infer columns from", spec: func(s *pipeline.Load) { s.Columns = nil },
			setup: func(p *place) { p.write("d/1.csv", ""); p.write("d/2.csv", "\n") }, texts: []string{"No columns"}},
		{name: "a PLT file without its header", spec: func(s *pipeline.Load) { s.Format, s.Columns, s.Files = "plt", nil, []string{"d/*.plt"} },
			setup: func(p *place) { p.write("d/1.plt", point+point) }, texts: []string{"d/1.plt:1", "A point where the header should be"}},
		{name: "columns that a PLT file does not have", spec: func(s *pipeline.Load) { s.Format = "plt" },
			texts: []string{"a PLT file gives latitude double"}},
		{name: "a file that is not Parquet", spec: func(s *pipeline.Load) { s.Format, s.Columns = "parquet", nil },
			texts: []string{"Parquet", "d/1.csv"}},
		{name: "an unreadable file", setup: func(p *place) {
			if os.Geteuid() == 0 {
				p.t.Skip("the superuser reads every file")
			}
			must(p.t, os.Chmod(filepath.Join(p.dir, "d/1.csv"), 0))
		}, texts: []string{"Unreadable file", "d/1.csv", "permission denied"}},
		{name: "a dangling link", setup: func(p *place) { must(p.t, os.Symlink("nowhere", filepath.Join(p.dir, "d/3.csv"))) },
			texts: []string{"Unreadable file", "d/3.csv"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("d/1.csv", "1,x\n")
			p.write("d/2.csv", "2,y\n")
			if test.setup != nil {
				test.setup(p)
			}
			spec := csvSpec()
			if test.spec != nil {
				test.spec(&spec)
			}
			p.refuse(spec, test.texts...)
			p.expect("select count(*) from information_schema.tables where table_name = 'loaded_files'", "0")
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestGlobs compares what patterns find with what a shell finds.
func TestGlobs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		files   []string
	}{
		{"*.csv", []string{"1.csv", "2.csv"}},
		{"[12].csv", []string{"1.csv", "2.csv"}},
		{"?.csv", []string{"1.csv", "2.csv"}},
		{"**/*.csv", []string{"1.csv", "2.csv", "a/3.csv", "a/b/4.csv", "c/5.csv"}},
		{"a/**", []string{"a/3.csv", "a/b/4.csv"}},
		{"a/**/*.csv", []string{"a/3.csv", "a/b/4.csv"}},
		{"*/*.csv", []string{"a/3.csv", "c/5.csv"}},
		{"**/b/*", []string{"a/b/4.csv"}},
		{".hidden/*.csv", []string{".hidden/6.csv"}},
		{"./a/../1.csv", []string{"1.csv"}},
		{"*", []string{"1.csv", "2.csv"}},
	}
	for _, test := range tests {
		t.Run(test.pattern, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			for _, name := range []string{"1.csv", "2.csv", "a/3.csv", "a/b/4.csv", "c/5.csv", ".hidden/6.csv", ".7.csv"} {
				p.write(name, "1,x\n")
			}
			must(t, os.Symlink("..", filepath.Join(p.dir, "a", "up")))
			spec := csvSpec()
			spec.Files = []string{test.pattern}
			p.load(spec)
			p.expect("select src from s.t order by src", test.files...)
			if len(test.files) == 1 {
				return
			}
			must(t, os.Remove(filepath.Join(p.dir, test.files[0])))
			if r := p.load(spec); r.Vanished != 1 || r.Loaded != 0 {
				t.Errorf("with %s gone: %+v", test.files[0], r)
			}
		})
	}
}
