package cli_test

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// talkProject is the pipeline of the talk "Agile Data Science on Greenplum Using Airflow" with its own rules.
const talkProject = "testdata/talk"

// talkStages says which rows each column of the expected counts counts. unlabelled_rows are the points that no label covers,
// before small groups are left out; no table holds just them. Its last two columns follow the talk's colliding ids.
var talkStages = []struct{ column, count, rows string }{
	{"rows_fetched", "*", "talk.trajectory"},
	{"rows_cleaned", "*", "talk.trajectory_clean"},
	{"labels_fetched", "*", "talk.label"},
	{"labels_clean", "*", "talk.label_clean"},
	{"merged_labelled", "*", "talk.trajectory_label_clean where mode is not null"},
	{"labelled_trajectories_merged", "distinct trajectory_id", "talk.trajectory_label_clean where mode is not null"},
	{"speeds_labelled", "*", "talk.trajectory_label_speed where mode is not null"},
	{"speeds_labelled_after_outlier", "*", "talk.trajectory_speed_walk where label is not null"},
	{"features_walk", "*", "talk.tsfresh_model_features where label"},
	{"features_nonwalk", "*", "talk.tsfresh_model_features where not label"},
	{"unlabelled_rows", "*", `talk.trajectory_clean p where not exists (
		select 1 from talk.trajectory_label_clean l where l.file = p.file and l.line = p.line and l.mode is not null)`},
	{"merged_unlabelled_kept", "*", "talk.trajectory_label_clean where mode is null"},
	{"speeds_unlabelled", "*", "talk.trajectory_speed_walk where label is null"},
	{"features_unlabelled_per_uid", "*", "talk.tsfresh_predict_features"},
}

// Features agree when they differ by at most talkTolerance of the expected value, or by talkFloor: the variance of equal
// intervals is 0 but for rounding, and so are distances and speeds of a person who rests.
const (
	talkTolerance = 1e-4
	talkFloor     = 1e-12
)

// TestTalkProjectIsValid validates the project also where the data is not at hand.
func TestTalkProjectIsValid(t *testing.T) {
	t.Parallel()
	dir := copyTalk(t)
	if out := damson(t, dir, "validate"); !strings.Contains(out, "no findings") {
		t.Errorf("validate said:\n%s", out)
	}
}

// TestValidateFindsTheTalksLeak adds the model that the talk trained on these rows: its filter of outliers looks at the label.
func TestValidateFindsTheTalksLeak(t *testing.T) {
	t.Parallel()
	dir := copyTalk(t)
	writeFile(t, dir, "pipelines/model.star", `walk = model(name = "walk", algorithm = random_forest(), id = "id", target = "label", exclude = ["tdate", "uid"])
p = pipeline(name = "learn")
p.train("train", model = walk, source = "talk.tsfresh_model_features")
p.score("predict", model = walk, source = "talk.tsfresh_predict_features", into = "talk.walk_prediction")
`)
	out := damson(t, dir, "validate")
	for _, want := range []string{"sql/trajectory_speed_walk.sql:7:8: warning: Features depend on the label", "a WHERE looks at mode, of which label, the target of model walk, is made", "1 warning"} {
		if !strings.Contains(out, want) {
			t.Errorf("validate does not say %q:\n%s", want, out)
		}
	}
}

// TestTalkPipeline runs the talk's daily pipeline over real GeoLife files and compares the rows of every stage and day, and
// the features of every trajectory, with those that an independent program found.
func TestTalkPipeline(t *testing.T) {
	t.Parallel()
	archive, expected := talkData(t)
	dir := copyTalk(t)
	unpack(t, archive, filepath.Join(dir, "data"))
	counts := readRecords(t, filepath.Join(expected, "stage_counts.csv"))

	damson(t, dir, "run", "landing")
	damson(t, dir, "backfill", "talk", "--from", counts[0]["date"], "--to", counts[len(counts)-1]["date"])
	damson(t, dir, "run", "talk", "--date", "2007-05-21") // one day alone, in place of its rows from the batch

	t.Run("stages", func(t *testing.T) { compareStages(t, counts, dir) })
	t.Run("labelled", func(t *testing.T) {
		want := readRecords(t, filepath.Join(expected, "features_labelled.csv"))
		got := byID(queryRecords(t, dir, "select *, trajectory_id as id from talk.tsfresh_model_features"))
		compareFeatures(t, want, got, func(w record) string { return w["trajectory_id"] })
		for _, w := range want {
			if g := got[w["trajectory_id"]]; !strings.EqualFold(g["label"], w["label"]) {
				t.Errorf("%s is labelled %q, want %q", w["trajectory_id"], g["label"], w["label"])
			}
		}
	})
	t.Run("unlabelled", func(t *testing.T) {
		want := readRecords(t, filepath.Join(expected, "features_unlabelled.csv.gz"))
		got := byID(queryRecords(t, dir, "select *, trajectory_id as id from talk.tsfresh_predict_features"))
		compareFeatures(t, want, got, func(w record) string { return fmt.Sprintf("nl_%s_%s_%s", w["date"], w["uid"], w["k"]) })
	})
}

// compareStages counts the rows of every stage and day, those of days without any file included, which must have none.
func compareStages(t *testing.T, want []record, dir string) {
	var selects []string
	for _, s := range talkStages {
		selects = append(selects, fmt.Sprintf("select '%s' as stage, tdate as day, count(%s) as n from %s group by tdate", s.column, s.count, s.rows))
	}
	got := map[string]map[string]string{}
	for _, r := range queryRecords(t, dir, strings.Join(selects, "\nunion all ")) {
		if got[r["day"]] == nil {
			got[r["day"]] = map[string]string{}
		}
		got[r["day"]][r["stage"]] = r["n"]
	}
	for _, w := range want {
		day := got[w["date"]]
		delete(got, w["date"])
		for _, s := range talkStages {
			if n := day[s.column]; n != w[s.column] && (n != "" || w[s.column] != "0") {
				t.Errorf("%s %s: %q rows, want %s", w["date"], s.column, n, w[s.column])
			}
		}
	}
	for day, stages := range got {
		if stages["rows_fetched"] != "" {
			t.Errorf("%s has points, and no file has: %v", day, stages)
		}
	}
}

// compareFeatures finds each expected trajectory among the project's, by the id that the project gives it, and the other way
// round. Where the files say that points of equal time make the features a matter of order, only the id is looked for.
func compareFeatures(t *testing.T, want []record, got map[string]record, id func(record) string) {
	if len(got) != len(want) {
		t.Errorf("%d trajectories, want %d", len(got), len(want))
	}
	features, wrong, worst := 0, 0, 0.0
	for _, w := range want {
		g, ok := got[id(w)]
		if !ok {
			t.Errorf("no trajectory %s", id(w))
			continue
		}
		if g["uid"] != w["uid"] {
			t.Errorf("%s is of user %s, want %s", id(w), g["uid"], w["uid"])
		}
		if w["tie_sensitive"] == "True" {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			if !strings.Contains(name, "__") {
				continue
			}
			features++
			a, b := number(t, g[name]), number(t, w[name])
			if off := math.Abs(a - b); off > talkFloor {
				worst = max(worst, off/math.Abs(b))
				if off > talkTolerance*math.Abs(b) {
					if wrong++; wrong <= 10 {
						t.Errorf("%s %s is %g, want %g", id(w), name, a, b)
					}
				}
			}
		}
	}
	if wrong > 10 {
		t.Errorf("and %d further features are wrong", wrong-10)
	}
	if features < 24*(len(want)-2) {
		t.Errorf("only %d features of %d trajectories were compared", features, len(want))
	}
	t.Logf("%d features, the worst %.2g off", features, worst)
}

// talkData gives the archive of real files and the directory of expected results, or skips the test.
func talkData(t *testing.T) (archive, expected string) {
	t.Helper()
	shared := os.Getenv("DAMSON_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	archive = filepath.Join(shared, "data", "geolife-a.tar.xz")
	if _, err := os.Stat(archive); err != nil {
		t.Skipf("no GeoLife data: %v (set DAMSON_SHARED to the directory that holds data/geolife-a.tar.xz)", err)
	}
	for _, tool := range []string{"tar", "xz"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is needed to unpack %s: %v", tool, archive, err)
		}
	}
	return archive, filepath.Join(shared, "data", "expected")
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xJf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
}

// copyTalk copies the project to a directory of its own.
func copyTalk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(talkProject)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// record is a row of a CSV file by the names of its header.
type record map[string]string

func readRecords(t *testing.T, path string) []record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return parseRecords(t, path, in)
}

func queryRecords(t *testing.T, dir, sql string) []record {
	t.Helper()
	return parseRecords(t, sql, strings.NewReader(damson(t, dir, "query", sql, "--format", "csv")))
}

func parseRecords(t *testing.T, what string, in io.Reader) []record {
	t.Helper()
	lines, err := csv.NewReader(in).ReadAll()
	if err != nil || len(lines) < 2 {
		t.Fatalf("%s gives %d lines: %v", what, len(lines), err)
	}
	var records []record
	for _, line := range lines[1:] {
		r := record{}
		for i, name := range lines[0] {
			r[name] = line[i]
		}
		records = append(records, r)
	}
	return records
}

// byID orders records by their id; two of one id are one too few for the comparison of numbers.
func byID(records []record) map[string]record {
	ids := map[string]record{}
	for _, r := range records {
		ids[r["id"]] = r
	}
	return ids
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
