package cli_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"damson/examples"
	"damson/internal/citydata"
)

// demoReport is what `damson demo --json` prints, as far as the tests look at it.
type demoReport struct {
	Stages []struct {
		Pipeline, Task, Table string
		Rows                  int64
	}
	Rejects []struct{ Lines int64 }
	Models  []demoModel
}

// demoModel is what it tells of a model.
type demoModel struct {
	Model, State string
	Judged       demoModelReport
	Scored       []struct {
		Day     string
		Classes map[string]int64
	}
}

// demoModelReport is how a model was judged.
type demoModelReport struct {
	Metrics map[string]float64
	Folds   struct {
		Metrics  map[string]float64
		Segments struct {
			Segments int64
			Metrics  map[string]float64
			Classes  struct {
				Classes []struct {
					Class                 string
					Rows                  int64
					Precision, Recall, F1 float64
				}
			}
		}
	} `json:"cross_validation"`
}

// runDemo runs the demo and reads its report.
func runDemo(t *testing.T, dir string, args ...string) demoReport {
	t.Helper()
	out := damson(t, ".", append([]string{"demo", "--json", "--no-serve", "--dir", dir}, args...)...)
	var r demoReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return r
}

// model finds a model in the report.
func (r demoReport) model(t *testing.T, name string) demoModel {
	t.Helper()
	for _, m := range r.Models {
		if m.Model == name {
			return m
		}
	}
	t.Fatalf("the report has no model %s", name)
	return demoModel{}
}

// rows gives the rows of a stage's table as the report tells them.
func (r demoReport) rows(t *testing.T, task string) int64 {
	t.Helper()
	for _, s := range r.Stages {
		if s.Task == task {
			return s.Rows
		}
	}
	t.Fatalf("the report has no stage %s", task)
	return 0
}

// tableCounts counts the rows of every table of the project.
func tableCounts(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	var selects []string
	for _, r := range queryRecords(t, dir, "select table_name as name from information_schema.tables where table_schema = 'geolife'") {
		selects = append(selects, fmt.Sprintf("select 'geolife.%[1]s' as name, count(*) as n from geolife.%[1]s", r["name"]))
	}
	counts := map[string]int64{}
	for _, r := range queryRecords(t, dir, strings.Join(selects, " union all ")) {
		counts[r["name"]] = int64(number(t, r["n"]))
	}
	return counts
}

// checkCounts compares the report's rows with those of the tables.
func (r demoReport) checkCounts(t *testing.T, counts map[string]int64) {
	t.Helper()
	for _, s := range r.Stages {
		if n, ok := counts[s.Table]; s.Table != "" && (!ok || n != s.Rows) {
			t.Errorf("%s has %d rows, the report says %d", s.Table, n, s.Rows)
		}
	}
}

// TestDemoOnGeneratedFiles runs the demo on its own city, for the second time: lines that do not parse are counted, the latitude of
// 140 is dropped, everything unlabelled is scored, and nothing has changed since the first.
func TestDemoOnGeneratedFiles(t *testing.T) {
	t.Parallel()
	dir, _ := readmeDemo(t)
	dir = filepath.Join(dir, "damson-demo")
	before := tableCounts(t, dir)
	r := runDemo(t, dir)
	r.checkCounts(t, before)
	r.checkCounts(t, tableCounts(t, dir))
	rejects := int64(0)
	for _, c := range r.Rejects {
		rejects += c.Lines
	}
	if rejects == 0 {
		t.Error("the city's broken lines are not among the rejects")
	}
	wild := damson(t, dir, "query", `select (select count(*) from geolife.trajectory where latitude > 90) as fetched,
		(select count(*) from geolife.trajectory_clean where latitude > 90) as cleaned`, "--format", "csv")
	if wild != "fetched,cleaned\n1,0\n" {
		t.Errorf("latitudes above 90:\n%s", wild)
	}
	if labelled, free, all := r.rows(t, "model_features"), r.rows(t, "predict_features"), r.rows(t, "window_features"); labelled+free != all || labelled == 0 {
		t.Errorf("%d labelled and %d unlabelled windows, of %d", labelled, free, all)
	}
	r.checkCityModels(t)
	for _, m := range r.Models {
		versions := damson(t, dir, "model", "list", m.Model, "--json")
		var list []struct{ Hash string }
		if err := json.Unmarshal([]byte(versions), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 {
			t.Errorf("the same rows and seed gave other models %s: %v", m.Model, list)
		}
	}
	picture := filepath.Join(t.TempDir(), "modes.png")
	damson(t, dir, "model", "show", "modes", "--plot", "confusion", "--out", picture)
	if text, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(text), "\x89PNG") {
		t.Errorf("the picture of modes: %.8q, %v", text, err)
	}
}

// checkCityModels makes sure that both models of the generated city are good, and have scored every window without a label.
func (r demoReport) checkCityModels(t *testing.T) {
	t.Helper()
	walk, modes := r.model(t, "walk"), r.model(t, "modes")
	if walk.State != "champion" || walk.Judged.Metrics["auc"] < 0.85 {
		t.Errorf("model walk is %s with AUC %.3f", walk.State, walk.Judged.Metrics["auc"])
	}
	segments := modes.Judged.Folds.Segments
	if modes.State != "champion" || segments.Metrics["macro_f1"] < 0.65 {
		t.Errorf("model modes is %s with a macro F1 of %.3f", modes.State, segments.Metrics["macro_f1"])
	}
	for _, c := range segments.Classes.Classes {
		if c.Rows == 0 || c.F1 < 0.5 {
			t.Errorf("%d segments are %s, F1 %.3f", c.Rows, c.Class, c.F1)
		}
	}
	for task, m := range map[string]demoModel{"predict_walk": walk, "predict_modes": modes} {
		told := int64(0)
		for _, day := range m.Scored {
			for _, n := range day.Classes {
				told += n
			}
		}
		if want := r.rows(t, "predict_features"); r.rows(t, task) != want || told != want {
			t.Errorf("%s has %d predictions, of which %d are told by day, for %d windows", task, r.rows(t, task), told, want)
		}
	}
}

// TestDemoOnGeoLife runs the demo on real data and asks for the quality the project promises, judged on people the models have
// not seen.
func TestDemoOnGeoLife(t *testing.T) {
	t.Parallel()
	archive, _ := talkData(t)
	data := t.TempDir()
	unpack(t, archive, data)
	dir := filepath.Join(t.TempDir(), "demo")
	r := runDemo(t, dir, "--data", data)
	r.checkCounts(t, tableCounts(t, dir))
	if points, labels := r.rows(t, "load_trajectory"), r.rows(t, "load_label"); points != 38490 || labels != 5879 {
		t.Errorf("%d points and %d labels were loaded, the files have 38490 and 5879", points, labels)
	}
	walk := r.model(t, "walk")
	segments, windows := walk.Judged.Folds.Segments, walk.Judged.Folds.Metrics
	t.Logf("5 folds by user: %d segments, AUC %.4f, accuracy %.4f; windows: weighted accuracy %.4f",
		segments.Segments, segments.Metrics["auc"], segments.Metrics["accuracy"], windows["weighted_accuracy"])
	if segments.Metrics["auc"] < 0.978 || segments.Metrics["accuracy"] < 0.938 || windows["weighted_accuracy"] < 0.88 {
		t.Errorf("model walk is worse than promised: segments AUC %.4f (0.978), accuracy %.4f (0.938), windows weighted accuracy %.4f (0.88)",
			segments.Metrics["auc"], segments.Metrics["accuracy"], windows["weighted_accuracy"])
	}
	checkModesOnGeoLife(t, r.model(t, "modes"))
}

// checkModesOnGeoLife asks for the quality of the five modes: F1 of segments, by class and their mean.
func checkModesOnGeoLife(t *testing.T, modes demoModel) {
	t.Helper()
	segments := modes.Judged.Folds.Segments
	t.Logf("modes: %d segments, accuracy %.4f, macro F1 %.4f", segments.Segments, segments.Metrics["accuracy"], segments.Metrics["macro_f1"])
	if segments.Metrics["accuracy"] < 0.76 || segments.Metrics["macro_f1"] < 0.65 {
		t.Errorf("model modes is worse than promised: accuracy %.4f (0.76), macro F1 %.4f (0.65)", segments.Metrics["accuracy"], segments.Metrics["macro_f1"])
	}
	least := map[string]float64{"walk": 0.91, "bike": 0.87, "car": 0.63, "bus": 0.48, "rail": 0.33}
	for _, c := range segments.Classes.Classes {
		bar, ok := least[c.Class]
		t.Logf("%-5s %4d segments: precision %.3f, recall %.3f, F1 %.3f", c.Class, c.Rows, c.Precision, c.Recall, c.F1)
		if !ok || c.F1 < bar {
			t.Errorf("F1 of %s is %.3f, promised are %.2f", c.Class, c.F1, bar)
		}
		delete(least, c.Class)
	}
	if len(least) > 0 {
		t.Errorf("no report of %v", least)
	}
}

// TestBackfillOfGeoLifeIsRepeatable compares every table after one backfill in batches with the same backfill day by day,
// and says that a second backfill has nothing to do.
func TestBackfillOfGeoLifeIsRepeatable(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	damson(t, ".", "init", dir, "--example", "geolife")
	makeCity(t, filepath.Join(dir, "data"))
	damson(t, dir, "run", "geolife_load")
	backfill := []string{"backfill", "geolife", "--from", "2007-04-12", "--to", "2007-04-16"}
	damson(t, dir, backfill...)
	want := dayChecksums(t, dir)
	if out := damson(t, dir, backfill...); !strings.Contains(out, "nothing to do") {
		t.Errorf("the second backfill said:\n%s", out)
	}
	for _, again := range [][]string{{"--rerun", "all", "--batch", "1"}, {"--rerun", "all", "--batch", "3"}} {
		damson(t, dir, append(backfill, again...)...)
		if got := dayChecksums(t, dir); got != want {
			t.Errorf("after %v the tables differ:\n%s\nwant\n%s", again, got, want)
		}
	}
}

// dayChecksums sums up every table of the daily pipeline.
func dayChecksums(t *testing.T, dir string) string {
	t.Helper()
	var selects []string
	for _, table := range []string{"trajectory", "label", "trajectory_clean", "label_clean", "trajectory_speed", "trajectory_slot", "trajectory_window",
		"window_features", "window_label", "model_features", "predict_features"} {
		selects = append(selects, fmt.Sprintf("select '%s' as t, count(*) as n, cast(bit_xor(hash(t)) as text) as h from geolife.%s as t", table, table))
	}
	return damson(t, dir, "query", strings.Join(selects, " union all ")+" order by 1", "--format", "csv")
}

// TestDistancesAnywhereOnEarth runs the example's macro on pairs of points and compares with geodesics on WGS84 by
// GeographicLib (C. Karney, 2013).
func TestDistancesAnywhereOnEarth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	macros, err := fs.ReadFile(examples.GeoLife(), "macros/geo.sql")
	if err != nil {
		t.Fatal(err)
	}
	pairs := []struct{ lat1, lon1, lat2, lon2, metres, tolerance float64 }{
		{39.9, 116.3, 39.9001, 116.3001, 14.014860363844495, 1e-6},
		{0, 0, 0, 0.001, 111.31949079327357, 1e-6},
		{89.999, 10, 89.9995, -170, 167.54096933936228, 1e-6},    // across the pole
		{-54.8, -68.3, -54.81, -68.31, 1285.5795043638773, 1e-6}, // far south
		{10, 179.9999, 10, -179.9999, 21.927872814358196, 1e-6},  // across the date line
		{48.85, 2.35, 52.52, 13.405, 880223.093784306, 5e-5},     // between cities
		{40.64, -73.78, 51.47, -0.45, 5555408.658207163, 5e-3},   // across an ocean
		{0.0001, 20, 0.0001, 20, 0, 0},                           // nowhere
	}
	var selects []string
	for i, p := range pairs {
		selects = append(selects, fmt.Sprintf("select %d as i, %v as a, %v as b, %v as c, %v as d", i, p.lat1, p.lon1, p.lat2, p.lon2))
	}
	writeFile(t, dir, "damson.yaml", "name: earth\n")
	writeFile(t, dir, "macros/geo.sql", string(macros))
	writeFile(t, dir, "pipelines/p.star", `pipeline(name = "p").sql("d", into = "e.d")`)
	writeFile(t, dir, "sql/d.sql", `select i, {{ distance_m('x', 'y', 'z', 'u', 'v', 'w') }} as metres from (
		select i, {{ earth_x('a', 'b') }} as x, {{ earth_y('a', 'b') }} as y, {{ earth_z('a') }} as z,
			{{ earth_x('c', 'd') }} as u, {{ earth_y('c', 'd') }} as v, {{ earth_z('c') }} as w
		from (`+strings.Join(selects, " union all ")+`) as pairs) as placed`)
	damson(t, dir, "run", "p")
	for _, r := range queryRecords(t, dir, "select i, metres from e.d") {
		p := pairs[int(number(t, r["i"]))]
		if got := number(t, r["metres"]); math.Abs(got-p.metres) > p.tolerance*p.metres {
			t.Errorf("from %v, %v to %v, %v: %v m, want %v", p.lat1, p.lon1, p.lat2, p.lon2, got, p.metres)
		}
	}
}

// TestBendsAndGaps walks along the equator: straight on, square to the left, back, and then out of sight for ten minutes.
func TestBendsAndGaps(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "p")
	damson(t, ".", "init", dir, "--example", "geolife")
	plt := strings.Repeat("head\r\n", 6)
	for _, p := range []struct {
		lat, lon float64
		time     string
	}{{0, 0, "08:00:00"}, {0, 0.0001, "08:00:05"}, {0, 0.0002, "08:00:10"}, {0.0001, 0.0002, "08:00:15"}, {0, 0.0002, "08:00:20"},
		{0, 0.0542, "08:10:20"}, {0, 0.0543, "08:10:25"}} {
		plt += fmt.Sprintf("%v,%v,0,0,39203,2007-05-01,%s\r\n", p.lat, p.lon, p.time)
	}
	writeFile(t, dir, "data/Data/000/Trajectory/20070501080000.plt", plt)
	writeFile(t, dir, "data/Data/000/labels.txt", "Start Time\tEnd Time\tTransportation Mode\r\n")
	damson(t, dir, "run", "geolife_load")
	damson(t, dir, "backfill", "geolife", "--from", "2007-05-01", "--to", "2007-05-01")
	got := ""
	for _, r := range queryRecords(t, dir, `select coalesce(cast(bend as varchar), 'none') as bend, coalesce(cast(round(gap_metres) as varchar), 'none') as metres,
		coalesce(cast(round(gap_speed, 2) as varchar), 'none') as speed from geolife.trajectory_speed order by epoch`) {
		got += r["bend"] + " " + r["metres"] + " " + r["speed"] + "\n"
	}
	if want := "none none none\n0.0 none none\n1000.0 none none\n2000.0 none none\nnone 6011.0 10.02\nnone 6011.0 10.02\nnone none none\n"; got != want {
		t.Errorf("bends and gaps are\n%s, want\n%s", got, want)
	}
	windows := queryRecords(t, dir, "select bend_mean, bend_share, round(gap_metres) as metres from geolife.window_features order by started")
	if first := windows[0]; first["bend_mean"] != "1" || number(t, first["bend_share"])*3 != 2 || first["metres"] != "6011" {
		t.Errorf("the first window has %v", first)
	}
}

// makeCity makes GPS files.
func makeCity(t *testing.T, dir string) {
	t.Helper()
	if _, err := citydata.Generate(t.Context(), dir, citydata.Options{Seed: 3, Users: 12, Days: 6}); err != nil {
		t.Fatal(err)
	}
}
