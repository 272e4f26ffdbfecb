package mltrain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse/driver"
)

// Columns that scoring adds to the id, the kept columns and the partition's.
var scoreColumns = []string{"probability", "prediction", "model", "model_version"}

// ScoresInSQL reports whether the version is small enough for ScoreSQL. Larger ones are scored by ScoreRows.
func ScoresInSQL(v model.Version) (bool, error) {
	s, err := newScorer(v)
	if err != nil {
		return false, err
	}
	return s.trees.SQLNodes() <= tree.MaxSQLNodes, nil
}

// ScoreSQL gives a SELECT that scores the rows of source inside the warehouse. Its columns are the id, the kept columns,
// the target's partition column, probability (double), prediction (bigint, 1 when the probability reaches the model's
// threshold), model (text) and model_version (bigint). columns are those of source, as the warehouse describes them; what
// the model needs and they lack comes back as findings, before any row is read. kind is the warehouse's.
func ScoreSQL(v model.Version, source sqltext.Text, columns []driver.Column, score pipeline.Score, kind string) (sqltext.Text, error) {
	s, err := newScorer(v)
	if err != nil {
		return sqltext.Text{}, err
	}
	if nodes := s.trees.SQLNodes(); nodes > tree.MaxSQLNodes {
		return sqltext.Text{}, diag.Finding{At: source.Pos(0), Summary: "Model too large for SQL",
			Detail: fmt.Sprintf("Version %d of model %q has %d nodes in %d trees; up to %d are scored as SQL.", v.Number, v.Model, nodes, s.trees.Trees(), tree.MaxSQLNodes),
			Fix:    "Score it by streaming the rows."}
	}
	if err := s.bind(columns, score, source.Pos(0)); err != nil {
		return sqltext.Text{}, err
	}
	// PostgreSQL merges subqueries, and would compute the forest again wherever its columns are used.
	fence := " offset 0"
	if kind == "duckdb" {
		fence = ""
	}
	outputs := make([]string, len(s.outputs))
	for i, c := range s.outputs {
		outputs[i] = sqltext.QuoteIdent(columns[c].Name)
	}
	names, ready, prefix := s.sqlFeatures(columns)
	kept := strings.Join(outputs, ", ")
	scoring := s.trees.SQL(names, prefix+"_")
	var b sqltext.Builder
	b.Add(fmt.Sprintf("select %s, probability, cast(case when probability >= %s then 1 else 0 end as bigint) as prediction, cast(%s as text) as model, cast(%d as bigint) as model_version\n",
		kept, sqltext.Double(s.threshold), sqltext.QuoteLiteral(v.Model), v.Number))
	b.Add(fmt.Sprintf("from (select %s, %s as probability\n", kept, scoring.Outputs[0]))
	for i := len(scoring.Steps) - 1; i >= 0; i-- {
		items := make([]string, len(scoring.Steps[i]))
		for n, item := range scoring.Steps[i] {
			items[n] = item.Expression + " as " + item.Name
		}
		b.Add(fmt.Sprintf("from (select *, %s\n", strings.Join(items, ", ")))
	}
	b.Add(fmt.Sprintf("from (select %s, %s\nfrom (\n", kept, strings.Join(ready, ", ")))
	b.Append(source)
	b.Add("\n) as source" + fence + ") as features" + fence)
	for range scoring.Steps {
		b.Add(") as step" + fence)
	}
	b.Add(") as scored")
	return b.Text(), nil
}

// scorer is a version made ready to be applied.
type scorer struct {
	version   model.Version
	trees     *tree.Model
	id        string
	threshold float64
	features  []int // where the model's features stand in the source
	outputs   []int // where the columns to carry over stand
}

func newScorer(v model.Version) (*scorer, error) {
	broken := func(err error) error {
		return diag.Finding{Summary: "Model version cannot be read", Detail: fmt.Sprintf("Version %d of model %q: %v.", v.Number, v.Model, err),
			Fix: "Train a new version, or roll back to an older one.", Cause: err}
	}
	f, err := tree.Decode(v.Artifact)
	if err != nil {
		return nil, broken(err)
	}
	if f.Features() != len(v.Features) {
		return nil, broken(fmt.Errorf("it reads %d features and it names %d", f.Features(), len(v.Features)))
	}
	var m pipeline.Model
	if err := json.Unmarshal(v.Spec, &m); err != nil {
		return nil, broken(err)
	}
	if m.ID == "" {
		return nil, broken(fmt.Errorf("its declaration names no id"))
	}
	if m.Threshold == 0 {
		m.Threshold = 0.5
	}
	return &scorer{version: v, trees: f, id: m.ID, threshold: m.Threshold}, nil
}

// bind finds the columns that the version and the task need in the source, collecting all that are missing or unfit.
func (s *scorer) bind(columns []driver.Column, score pipeline.Score, at diag.Pos) error {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	var all diag.Findings
	add := func(summary, fix, detail string, args ...any) {
		all = append(all, diag.Finding{At: at, Summary: summary, Detail: fmt.Sprintf(detail, args...), Fix: fix})
	}
	for _, name := range s.version.Features {
		i := findName(names, name)
		switch {
		case i < 0:
			add("Feature missing", orElse(diag.DidYouMean(name, names), "Add it to the source's SELECT, computed as for the training."),
				"Version %d of model %q reads the feature %q, which the rows to be scored do not have.", s.version.Number, s.version.Model, name)
		case !fits(columns[i].Type):
			add("Feature type changed", "Make it a number again in the source's SELECT, or train a new version.",
				"Version %d of model %q was trained with the number %q; in the rows to be scored it is %s.", s.version.Number, s.version.Model, name, columns[i].Native)
		}
		s.features = append(s.features, i)
	}
	wanted := append([]string{s.id}, score.Keep...)
	if p := score.Target.PartitionBy; p != "" {
		wanted = append(wanted, p)
	}
	for _, name := range wanted {
		i := findName(names, name)
		switch {
		case i < 0:
			add("Column missing", orElse(diag.DidYouMean(name, names), "Add it to the source's SELECT."),
				"The rows to be scored by model %q lack the column %q, which is to be written with the predictions.", s.version.Model, name)
		case slices.ContainsFunc(scoreColumns, func(own string) bool { return strings.EqualFold(own, name) }):
			add("Column name taken", "Rename it in the source's SELECT.", "The column %q of the source has the name of a column that scoring adds.", name)
		case !slices.Contains(s.outputs, i):
			s.outputs = append(s.outputs, i)
		}
	}
	return all.Err()
}

func fits(t driver.Type) bool {
	return t == driver.Bigint || t == driver.Double || t == driver.Boolean
}

// sqlFeatures gives short names for the features, distinct from the columns carried over, the SELECT items that make them
// double precision with NULL for every missing value, and the letters that the names begin with.
func (s *scorer) sqlFeatures(columns []driver.Column) (names, ready []string, prefix string) {
	prefix = "f"
	for slices.ContainsFunc(s.outputs, func(i int) bool { return strings.HasPrefix(strings.ToLower(columns[i].Name), prefix) }) {
		prefix += "_"
	}
	for n, i := range s.features {
		name, column := fmt.Sprintf("%s%d", prefix, n), sqltext.QuoteIdent(columns[i].Name)
		value := tree.SQLValue(column)
		if columns[i].Type == driver.Boolean {
			value = fmt.Sprintf("case when %s then float8 '1' when not %s then float8 '0' end", column, column)
		}
		names, ready = append(names, name), append(ready, value+" as "+name)
	}
	return names, ready, prefix
}
