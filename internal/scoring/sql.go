// Package scoring applies model versions to rows: by SQL inside the warehouse (SQL), or by streaming the rows (Rows), and tells
// whether the rows differ from those a version was trained on (Drift). Its central type is scorer, a version made ready.
//
// Invariants:
//  1. Both ways give the same columns, and the same predictions up to the database's own exp.
//  2. What a version needs and the rows lack comes back as diag.Findings, all together, before any row is read.
//  3. A class is written as the target had it.
//
// It trains nothing, writes nothing, and does not choose the version.
package scoring

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse/driver"
)

// ownClasses is how many classes have a column of their own in predictions.
const ownClasses = 100

// maxSQLFeatures is how many features a model scored as SQL may read: PostgreSQL allows 1,664 columns in a SELECT.
const maxSQLFeatures = 1000

// Added lists the columns that scoring adds to the id, the kept columns and the partition's:
//
//	of two classes      probability of the second class, prediction
//	of several classes  probability of the predicted class, prediction, probability_<class> of each class
//	of numbers          prediction
//	of a clustering     cluster, distance from its centre
//
// and model and model_version. A prediction is a class as the target has it, or the number.
func Added(v model.Version) ([]driver.Column, error) {
	s, err := newScorer(v)
	if err != nil {
		return nil, err
	}
	return s.added(), nil
}

func (s *scorer) added() []driver.Column {
	probability := driver.Column{Name: "probability", Type: driver.Double}
	prediction := driver.Column{Name: "prediction", Type: driver.Bigint}
	if s.version.TextClasses {
		prediction.Type = driver.Text
	}
	columns := []driver.Column{probability, prediction}
	switch s.kind {
	case metric.Multiclass:
		for _, name := range s.classColumns() {
			columns = append(columns, driver.Column{Name: name, Type: driver.Double})
		}
	case metric.Regression:
		columns = []driver.Column{{Name: "prediction", Type: driver.Double}}
	case metric.Clustering:
		columns = []driver.Column{{Name: "cluster", Type: driver.Bigint}, {Name: "distance", Type: driver.Double}}
	}
	return append(columns, driver.Column{Name: "model", Type: driver.Text}, driver.Column{Name: "model_version", Type: driver.Bigint})
}

// classColumns names the probabilities of the classes, none when there are too many. What is no letter, digit or "_" in a
// class becomes "_"; names are in lower case, cut to what PostgreSQL allows, and numbered where they would be alike.
func (s *scorer) classColumns() []string {
	if len(s.version.Classes) > ownClasses {
		return nil
	}
	var names []string
	for _, class := range s.version.Classes {
		name := "probability_" + strings.ToLower(metric.ClassName("", class)[1:])
		for len(name) > 58 || !utf8.ValidString(name) {
			name = name[:len(name)-1]
		}
		own := name
		for n := 2; slices.Contains(names, own); n++ {
			own = fmt.Sprintf("%s_%d", name, n)
		}
		names = append(names, own)
	}
	return names
}

// InSQL reports whether the version is small enough for SQL. Larger ones are scored by Rows.
func InSQL(v model.Version) (bool, error) {
	s, err := newScorer(v)
	if err != nil {
		return false, err
	}
	return s.tooLarge() == "", nil
}

// tooLarge says why a version is not scored as SQL, or gives "".
func (s *scorer) tooLarge() string {
	nodes := s.predictor.Nodes()
	switch {
	case nodes > tree.MaxSQLNodes:
		return fmt.Sprintf("has %d nodes; up to %d are scored as SQL", nodes, tree.MaxSQLNodes)
	case len(s.read) > maxSQLFeatures:
		return fmt.Sprintf("reads %d features; up to %d are scored as SQL", len(s.read), maxSQLFeatures)
	}
	for _, f := range s.read {
		for _, level := range f.Levels {
			if strings.ContainsRune(level, 0) {
				return fmt.Sprintf("has a text in %q that SQL cannot hold", f.Name)
			}
		}
	}
	return ""
}

// Check gives what of the columns of a source, as the warehouse describes them, keeps the version from scoring its rows.
func Check(v model.Version, columns []driver.Column, score pipeline.Score, at diag.Pos) error {
	s, err := newScorer(v)
	if err != nil {
		return err
	}
	return s.bind(columns, score, at)
}

// SQL gives a SELECT that scores the rows of source inside the warehouse. Its columns are the id, the kept columns,
// the target's partition column, and those of Added. columns are those of source, as the warehouse describes them; what
// the model needs and they lack comes back as findings, before any row is read. kind is the warehouse's.
func SQL(v model.Version, source sqltext.Text, columns []driver.Column, score pipeline.Score, kind string) (sqltext.Text, error) {
	s, err := newScorer(v)
	if err != nil {
		return sqltext.Text{}, err
	}
	if why := s.tooLarge(); why != "" {
		return sqltext.Text{}, diag.Finding{At: source.Pos(0), Summary: "Model too large for SQL",
			Detail: fmt.Sprintf("Version %d of model %q %s.", v.Number, v.Model, why), Fix: "Apply it by a score task or by damson model predict, which stream the rows."}
	}
	if err := s.bind(columns, score, source.Pos(0)); err != nil {
		return sqltext.Text{}, err
	}
	// PostgreSQL merges subqueries, and would compute the model again wherever its columns are used.
	fence := " offset 0"
	if kind == "duckdb" {
		fence = ""
	}
	kept := strings.Join(s.keptNames(columns), ", ")
	prefix, names, ready := s.sqlFeatures(columns)
	own := s.predictor.SQL(names, prefix+"x")
	outer, levels := s.sqlOutputs(own.Outputs, prefix)
	levels = append(own.Steps, levels...)
	var b sqltext.Builder
	b.Add(fmt.Sprintf("select %s, %s, cast(%s as text) as model, cast(%d as bigint) as model_version\n",
		kept, outer, sqltext.QuoteLiteral(v.Model), v.Number))
	for i, level := range slices.Backward(levels) {
		below := "*"
		if i == len(levels)-1 && s.kind != metric.Multiclass {
			below = kept
		}
		b.Add("from (select " + below)
		for _, own := range level {
			b.Add(", " + own.Expression + " as " + own.Name)
		}
		b.Add("\n")
	}
	b.Add(fmt.Sprintf("from (select %s, %s\nfrom (\n", kept, strings.Join(ready, ", ")))
	b.Append(source)
	b.Add("\n) as source" + fence + ") as features" + fence)
	for n := range levels[1:] {
		b.Add(fmt.Sprintf(") as step%d%s", n+1, fence))
	}
	b.Add(") as scored")
	return b.Text(), nil
}

// sqlOutputs gives the columns of the SELECT that is seen, and the subqueries under it, innermost first, that make
// predictions of outputs.
func (s *scorer) sqlOutputs(outputs []string, prefix string) (outer string, levels [][]learn.Item) {
	switch s.kind {
	case metric.Clustering:
		return "cluster, distance", [][]learn.Item{{{Name: "cluster", Expression: outputs[0]}, {Name: "distance", Expression: outputs[1]}}}
	case metric.Regression:
		return "prediction", [][]learn.Item{{{Name: "prediction", Expression: outputs[0]}}}
	case metric.Binary:
		prediction := fmt.Sprintf("cast(case when probability >= %s then 1 else 0 end as bigint)", sqltext.Double(s.threshold))
		if len(s.version.Classes) > 0 {
			prediction = fmt.Sprintf("case when probability >= %s then %s else %s end", sqltext.Double(s.threshold), s.sqlClass(1), s.sqlClass(0))
		}
		return "probability, " + prediction + " as prediction", [][]learn.Item{{{Name: "probability", Expression: outputs[0]}}}
	}
	var each []learn.Item
	var names []string
	for k, output := range outputs {
		each = append(each, learn.Item{Name: fmt.Sprintf("%sp%d", prefix, k), Expression: output})
		names = append(names, each[k].Name)
	}
	top := prefix + "top"
	var choice strings.Builder
	choice.WriteString(top + " as probability, case")
	for k, name := range names[:len(names)-1] {
		fmt.Fprintf(&choice, " when %s = %s then %s", name, top, s.sqlClass(k))
	}
	fmt.Fprintf(&choice, " else %s end as prediction", s.sqlClass(len(names)-1))
	for k, column := range s.classColumns() {
		fmt.Fprintf(&choice, ", %s as %s", names[k], sqltext.QuoteIdent(column))
	}
	return choice.String(), [][]learn.Item{each, {{Name: top, Expression: "greatest(" + strings.Join(names, ", ") + ")"}}}
}

// sqlClass writes a class as the target has it.
func (s *scorer) sqlClass(k int) string {
	if s.version.TextClasses {
		return "cast(" + sqltext.QuoteLiteral(s.version.Classes[k]) + " as text)"
	}
	return "cast(" + s.version.Classes[k] + " as bigint)"
}

// scorer is a version made ready to be applied.
type scorer struct {
	version   model.Version
	kind      metric.Kind
	predictor learn.Predictor
	read      []learn.Feature
	id        string
	threshold float64
	features  []int                // where the features stand in the source
	outputs   []int                // where the columns to carry over stand
	places    []map[string]float64 // of texts among the levels of each feature; nil = a number
}

func newScorer(v model.Version) (*scorer, error) {
	s, err := readVersion(v)
	if err != nil {
		return nil, diag.Finding{Summary: "Model version cannot be read", Detail: fmt.Sprintf("Version %d of model %q: %v.", v.Number, v.Model, err),
			Fix: "Train a new version, or roll back to an older one.", Cause: err}
	}
	return s, nil
}

func readVersion(v model.Version) (*scorer, error) {
	a, ok := learn.Of(cmp.Or(v.Algorithm, "random_forest"))
	if !ok {
		return nil, fmt.Errorf("this Damson does not know its algorithm %q", v.Algorithm)
	}
	s := &scorer{version: v, kind: metric.Kind(cmp.Or(v.Kind, string(metric.Binary)))}
	for _, name := range v.Features {
		s.read = append(s.read, learn.Feature{Name: name, Levels: v.Levels[name]})
	}
	var err error
	if s.predictor, err = a.Decode(v.Artifact, s.read); err != nil {
		return nil, err
	}
	outputs := 1
	switch s.kind {
	case metric.Multiclass:
		outputs = len(v.Classes)
	case metric.Clustering:
		outputs = 2
	}
	if own := s.predictor.Outputs(); own != outputs {
		return nil, fmt.Errorf("its artifact gives %d numbers for a row, and %d were expected", own, outputs)
	}
	for _, class := range v.Classes {
		if _, err := strconv.ParseInt(class, 10, 64); err != nil && !v.TextClasses {
			return nil, fmt.Errorf("its class %q is not a whole number", class)
		}
	}
	var m pipeline.Model
	if err := json.Unmarshal(v.Spec, &m); err != nil {
		return nil, err
	}
	if m.ID == "" {
		return nil, errors.New("its declaration names no id")
	}
	s.id, s.threshold = m.ID, cmp.Or(m.Threshold, 0.5)
	return s, nil
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
	for _, f := range s.read {
		i := cells.Find(names, f.Name)
		switch {
		case i < 0:
			add("Feature missing", cmp.Or(diag.DidYouMean(f.Name, names), "Add it to these rows, computed as for the training."),
				"Version %d of model %q reads the feature %q, which the rows to be scored do not have.", s.version.Number, s.version.Model, f.Name)
		case !f.Fits(columns[i]):
			was := map[bool]string{true: "number", false: "text"}[f.Levels == nil]
			add("Feature type changed", "Make it a "+was+" again, or train a new version.",
				"Version %d of model %q was trained with the %s %q; in the rows to be scored it is %s.", s.version.Number, s.version.Model, was, f.Name, columns[i].Native)
		}
		s.features = append(s.features, i)
	}
	wanted := append([]string{s.id}, score.Keep...)
	if p := score.Target.PartitionBy; p != "" {
		wanted = append(wanted, p)
	}
	added := s.added()
	for _, name := range wanted {
		i := cells.Find(names, name)
		switch {
		case i < 0:
			add("Column missing", cmp.Or(diag.DidYouMean(name, names), "Add it to these rows."),
				"The rows to be scored by model %q lack the column %q, which is to be written with the predictions.", s.version.Model, name)
		case slices.ContainsFunc(added, func(own driver.Column) bool { return strings.EqualFold(own.Name, name) }):
			add("Column name taken", "Rename it in the source's SELECT.", "The column %q of the source has the name of a column that scoring adds.", name)
		case !slices.Contains(s.outputs, i):
			s.outputs = append(s.outputs, i)
		}
	}
	return all.Err()
}

// keptNames writes the columns that are carried over.
func (s *scorer) keptNames(columns []driver.Column) []string {
	names := make([]string, len(s.outputs))
	for i, c := range s.outputs {
		names[i] = sqltext.QuoteIdent(columns[c].Name)
	}
	return names
}

// sqlFeatures gives short names for the features, distinct from the columns carried over by their prefix, and the SELECT
// items that make them double precision, or text, with NULL for every missing value.
func (s *scorer) sqlFeatures(columns []driver.Column) (prefix string, names, ready []string) {
	prefix = "f"
	for slices.ContainsFunc(s.outputs, func(i int) bool { return strings.HasPrefix(strings.ToLower(columns[i].Name), prefix) }) {
		prefix += "_"
	}
	for n, i := range s.features {
		name := fmt.Sprintf("%s%d", prefix, n)
		names, ready = append(names, name), append(ready, s.read[n].SQLValue(columns[i])+" as "+name)
	}
	return prefix, names, ready
}
