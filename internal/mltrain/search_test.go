package mltrain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/search"
	"damson/internal/sqltext"
)

// searched declares a search over depths, of which 1 is too few.
func searched(change ...func(*pipeline.Search)) func(*pipeline.Model) {
	s := &pipeline.Search{Method: pipeline.GridSearch, Seed: 1, Folds: 3, Space: []pipeline.Dimension{
		{Parameter: "max_depth", Choices: []json.RawMessage{json.RawMessage("1"), json.RawMessage("6")}},
		{Parameter: "min_leaf", Choices: []json.RawMessage{json.RawMessage("5"), json.RawMessage("900")}}}}
	for _, f := range change {
		f(s)
	}
	return func(m *pipeline.Model) {
		m.Forest.Trees, m.Forest.MaxDepth, m.Forest.MinLeaf, m.Search = 6, 1, 5, s
	}
}

func trials(t *testing.T, of *mltrain.Trained) search.Table {
	t.Helper()
	var table search.Table
	if err := json.Unmarshal(of.Version.Search, &table); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestASearchFindsItsParametersOnTheTrainingSide(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	var notes []string
	got := mustTrain(t, rows, mltrain.Options{Threads: 1, Progress: func(p mltrain.Progress) {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	}}, searched())
	table := trials(t, got)
	if table.Metric != "auc" || table.Lower || table.Best != 3 || len(table.Trials) != 4 || table.Rows != got.Report.Training.Rows || table.Groups != got.Report.Training.Groups {
		t.Errorf("%+v", table)
	}
	var m pipeline.Model
	if err := json.Unmarshal(got.Version.Spec, &m); err != nil || m.Forest.MaxDepth != 6 || m.Forest.MinLeaf != 5 || m.Search == nil {
		t.Errorf("spec %s: %v", got.Version.Spec, err)
	}
	plain := mustTrain(t, rows, mltrain.Options{}, func(m *pipeline.Model) { m.Forest.Trees, m.Forest.MaxDepth, m.Forest.MinLeaf = 6, 6, 5 })
	if plain.Version.Hash != got.Version.Hash {
		t.Error("the version is not what its parameters give")
	}
	if len(notes) != 5 || !strings.HasPrefix(notes[4], "the best of 4 trials, number 3: max_depth 6, min_leaf 5: auc 0.8") || !strings.HasPrefix(notes[2], "trial 3 of 4: max_depth 6, min_leaf 5: auc 0.8") || !strings.HasSuffix(notes[2], "the best so far") {
		t.Errorf("told was %q", notes)
	}

	// Other orders of rows and numbers of threads, and other labels of held-out rows, change nothing.
	var held []string
	for _, g := range got.Report.ByGroup {
		held = append(held, "'"+g.Group+"'")
	}
	other := mustTrain(t, fmt.Sprintf("select * replace (case when person in (%s) then i %% 2 else label end as label) from (%s) order by md5(id)",
		strings.Join(held, ", "), strings.Replace(rows, "select 'r' || i as id", "select i, 'r' || i as id", 1)), mltrain.Options{Threads: 4}, searched(), func(m *pipeline.Model) { m.Exclude = []string{"i"} })
	if !reflect.DeepEqual(trials(t, other), table) || other.Version.Hash != got.Version.Hash {
		t.Errorf("the trials are %+v\nand were %+v", trials(t, other), table)
	}
}

func TestEveryKindIsSearched(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	for target, want := range map[string]string{"case when x0 > 0.7 then 'c' when label = 1 then 'b' else 'a' end": "log_loss", "x0 + x1 + label": "rmse"} {
		got := trials(t, mustTrain(t, "select * replace ("+target+" as label) from ("+rows+") where x0 is not null", mltrain.Options{}, searched(), func(m *pipeline.Model) { m.Segment = "" }, excluding("trip")))
		if got.Metric != want || !got.Lower || got.Best != 3 {
			t.Errorf("%s: %+v", target, got)
		}
	}
	at := time.Unix(0, 0)
	now := func() time.Time { at = at.Add(time.Second); return at }
	own := trials(t, mustTrain(t, rows, mltrain.Options{Now: now}, searched(func(s *pipeline.Search) { s.Metric = "segment.accuracy" })))
	if own.Lower || own.Best != 3 || *own.Trials[2].Mean < 0.7 || own.Trials[0].Seconds != 1 {
		t.Errorf("%+v", own)
	}
}

func TestAClassOfOneFoldIsAWarning(t *testing.T) {
	t.Parallel()
	got := mustTrain(t, "select * replace (case when person = 'person 1' then 'c' when label = 1 then 'b' else 'a' end as label) from ("+rowsSQL(t)+")", mltrain.Options{}, searched())
	if !slices.ContainsFunc(got.Report.Warnings, func(w string) bool {
		return strings.Contains(w, "of its search") && strings.Contains(w, `no row with "label" = "c"`)
	}) {
		t.Errorf("warnings %q", got.Report.Warnings)
	}
}

func excluding(columns ...string) func(*pipeline.Model) {
	return func(m *pipeline.Model) { m.Exclude = append(m.Exclude, columns...) }
}

func TestBadSearches(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	for _, c := range []struct {
		name string
		sql  string
		s    func(*pipeline.Search)
		want []string
	}{
		{"more folds than groups", rows, func(s *pipeline.Search) { s.Folds = 35 }, []string{"More folds than groups", "grid_search(folds = 35)"}},
		{"a fold of one class", "select * replace (case when person = 'person 1' or person = 'person 3' then label else 0 end as label) from (" + rows + ")", func(s *pipeline.Search) { s.Folds = 20 },
			[]string{"One class only in a fold of the search", "In fold", `have "label" = 0 only, which does not define auc`, "grid_search(folds = 20, seed = 1)"}},
		{"one person with both classes", "select * replace (case when person = 'person 1' then label else 0 end as label) from (" + rows + ")", func(s *pipeline.Search) { s.Metric = "accuracy" },
			[]string{"One class only in a fold of the search", "Without fold", "the remaining", "from which nothing can be learned"}},
		{"a metric of another kind", rows, func(s *pipeline.Search) { s.Metric = "rmse" }, []string{"Nothing to rank by", "None of the 4 trials", "rmse"}},
		{"a parameter out of range", rows, func(s *pipeline.Search) { s.Space[0].Choices[1] = json.RawMessage("0") }, []string{"Parameter out of range"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := mltrain.Train(context.Background(), newDuck(t), declared(searched(c.s)), sqltext.Plain("sql/rows.sql", c.sql), mltrain.Options{})
			checkFinding(t, err, c.want)
		})
	}
}
