package cli_test

import (
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var geolifeDeals = flag.Int("geolife-deals", 0, "in how many ways TestGeoLifeDealtOut deals the users of the real data out to folds; none: it is skipped")

// TestGeoLifeDealtOut trains the example's models on real data again and again, each time with the users dealt out to the five
// folds in another way, and logs means and lowest figures of segments: docs/geolife.md's table. With 19 users the deal matters
// more than the seed of a model.
func TestGeoLifeDealtOut(t *testing.T) {
	t.Parallel()
	if *geolifeDeals == 0 {
		t.Skip("-geolife-deals names no number of ways to deal users out")
	}
	archive, _ := talkData(t)
	data := t.TempDir()
	unpack(t, archive, data)
	dir := filepath.Join(t.TempDir(), "demo")
	runDemo(t, dir, "--data", data)
	users := queryRecords(t, dir, "select uid, count(*) as n from geolife.model_features group by uid order by uid")
	edit(t, dir, "pipelines/geolife.star", `cross_validation(k = 5, by = "uid", seed = 7)`, `cross_validation(k = 5, by = "deal", seed = 7)`)
	column := "select "
	figures := map[string][]float64{}
	for seed := range *geolifeDeals {
		next := "select " + dealt(t, users, uint64(seed)) + " as deal, "
		for _, file := range []string{"sql/labelled_windows.sql", "sql/labelled_modes.sql"} {
			edit(t, dir, file, column, next)
		}
		column = next
		damson(t, dir, "run", "geolife_model_training", "--date", "2007-08-22")
		addFigures(t, dir, figures)
	}
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		sum := 0.0
		for _, v := range figures[name] {
			sum += v
		}
		t.Logf("%-34s mean %.4f, lowest %.4f", name, sum/float64(len(figures[name])), slices.Min(figures[name]))
	}
}

// dealt gives SQL that says in which of five folds a user is: users in an order of chance, each to the fold with the fewest rows.
func dealt(t *testing.T, users []record, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	size := make([]float64, 5)
	sql := "case uid"
	for _, i := range rng.Perm(len(users)) {
		fold := slices.Index(size, slices.Min(size))
		size[fold] += number(t, users[i]["n"])
		sql += " when '" + users[i]["uid"] + "' then " + strconv.Itoa(fold)
	}
	return sql + " end"
}

// addFigures adds what the newest versions of both models reached in the cross-validation.
func addFigures(t *testing.T, dir string, figures map[string][]float64) {
	t.Helper()
	for _, model := range []string{"walk", "modes"} {
		var shown struct{ Report demoModelReport }
		if err := json.Unmarshal([]byte(damson(t, dir, "model", "show", model, "--json")), &shown); err != nil {
			t.Fatal(err)
		}
		folds := shown.Report.Folds
		all := map[string]float64{"windows weighted_accuracy": folds.Metrics["weighted_accuracy"]}
		for name, v := range folds.Segments.Metrics {
			all["segments "+name] = v
		}
		for _, c := range folds.Segments.Classes.Classes {
			all["segments f1 of "+c.Class] = c.F1
		}
		for name, v := range all {
			if _, figure, _ := strings.Cut(name, " "); figure != "log_loss" && figure != "brier" && figure != "majority_accuracy" {
				figures[model+" "+name] = append(figures[model+" "+name], v)
			}
		}
	}
}
