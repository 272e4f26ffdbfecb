package declare

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
)

// declareModel is model(…).
func (e *evaluation) declareModel(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "model", args, kwargs, "name")
	m := &pipeline.Model{At: c.at, Split: pipeline.Holdout{Test: 0.2}}
	m.Name = c.plainName("name", "churn")
	learns := c.algorithm("algorithm")
	m.Algorithm = learns.Algorithm
	m.ID = c.column("id", "id", true)
	m.Target = c.column("target", "label", m.KMeans == nil)
	m.Exclude = c.columns("exclude", `["created_at"]`)
	if split, ok := c.part("split", "holdout"); ok {
		m.Split = split.(pipeline.Holdout)
	}
	if folds, ok := c.part("cross_validation", "cross_validation"); ok {
		f := folds.(pipeline.Folds)
		m.Folds = &f
	}
	m.Segment = c.column("segment", "trip", false)
	m.Weight = c.column("weight", "seconds", false)
	m.Threshold = c.real("threshold", 0.5, "a number between 0 and 1, both excluded", func(v float64) bool { return v > 0 && v < 1 })
	m.Gates = c.texts("gates", `["auc >= 0.85"]`)
	m.Approval = c.choice("approval", "none", []string{"none", "required"})
	m.DataStays = c.boolean("data_stays", false)
	m.Search = c.search("search", learns)
	c.finish()
	c.checkModel(m)
	c.checkSearch(m)
	e.models = append(e.models, m)
	return &modelValue{model: m}, nil
}

// algorithms are the builtins that say how to learn.
var algorithms = []string{"random_forest", "decision_tree", "gradient_boosting", "logistic_regression", "linear_regression", "k_means"}

// learning is an algorithm, with the first values of those parameters that are searched.
type learning struct {
	pipeline.Algorithm
	space    []pipeline.Dimension
	searched bool // parameters are, be it badly
}

// learns makes the function of pipeline files by which an algorithm is declared; read takes its parameters from a call.
func (e *evaluation) learns(name string, read func(c *call) pipeline.Algorithm) builtinFunc {
	return func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		c := e.newCall(t, name, args, kwargs)
		spaces := c.takeSpaces()
		own := learning{Algorithm: read(c), searched: len(spaces) > 0}
		c.finish()
		own.space = c.dimensions(spaces, own.Algorithm, read)
		return &record{what: name, part: own}, nil
	}
}

// algorithm reads how to learn.
func (c *call) algorithm(key string) learning {
	v := c.value(key)
	if r, ok := v.(*record); ok && slices.Contains(algorithms, r.what) {
		return r.part.(learning)
	}
	calls := strings.Join(algorithms, "(…), ") + "(…)"
	switch v := v.(type) {
	case nil:
		c.report(c.at, "Missing argument", "Add algorithm = random_forest(), for example.", "model needs algorithm: one of %s.", calls)
	case *starlark.Builtin:
		c.report(c.place(key), "Wrong type", fmt.Sprintf("Write %s = %s().", key, v.Name()), "%s of model must be one of %s, not the function itself.", key, calls)
	case starlark.String:
		fix := diag.DidYouMean(string(v), algorithms)
		if fix == "" {
			fix = "Write for example " + key + " = random_forest()."
		}
		c.report(c.place(key), "Wrong type", fix, "%s of model must be one of %s, not %s.", key, calls, showValue(v))
	default:
		c.wrong(key, "one of "+calls, v, "random_forest()")
	}
	return learning{}
}

// checkModel judges the columns and gates of a model.
func (c *call) checkModel(m *pipeline.Model) {
	if m.ID != "" && m.ID == m.Target {
		c.report(c.place("target"), "One column twice", "Name the column to predict.", "Model %s has %q as id and as target.", m.Name, m.ID)
	}
	for _, column := range []string{m.ID, m.Target} {
		if column != "" && slices.Contains(m.Exclude, column) {
			c.report(c.place("exclude"), "One column twice", fmt.Sprintf("Remove %q from exclude.", column),
				"Model %s excludes its own %q; id and target are no features anyway.", m.Name, column)
		}
	}
	c.checkStays(m)
	c.checkClustering(m)
	for _, gate := range m.Gates {
		if strings.TrimSpace(gate) == "" {
			c.report(c.place("gates"), "Empty gate", `Write a condition such as "auc >= 0.85".`, "A gate of model %s is empty.", m.Name)
			continue
		}
		c.checkGateText("gates", gate)
		c.checkGateKind(m, gate)
	}
}

// checkStays refuses what no database trains.
func (c *call) checkStays(m *pipeline.Model) {
	if name := m.Algorithm.Name(); m.DataStays && name != "" && m.KMeans == nil && m.Forest == nil && m.Tree == nil {
		c.report(c.place("data_stays"), "Can not be trained in the database", "Take random_forest() or decision_tree(), or remove data_stays.",
			"Model %s has data_stays = True and is a %s, which needs its rows in memory.", m.Name, name)
	}
}

var metricName = regexp.MustCompile(`[\pL_][\pL\pN_.]*`)

// checkGateKind refuses metrics that what the algorithm learns never has.
func (c *call) checkGateKind(m *pipeline.Model, gate string) {
	for _, name := range metricName.FindAllString(gate, -1) {
		if c.foreignMetric(m, "gates", strings.TrimPrefix(strings.TrimPrefix(name, "champion."), "paired."), gate) {
			return
		}
	}
}

// foreignMetric refuses a metric of another kind than the algorithm learns, and reports whether it did.
func (c *call) foreignMetric(m *pipeline.Model, key, name, where string) bool {
	var kinds []metric.Kind
	switch {
	case m.Linear != nil:
		kinds = []metric.Kind{metric.Regression}
	case m.Logistic != nil:
		kinds = []metric.Kind{metric.Binary, metric.Multiclass}
	case m.KMeans != nil:
		return c.foreignToClusters(m, key, name, where)
	default: // the target decides
		kinds = []metric.Kind{metric.Binary, metric.Multiclass, metric.Regression}
	}
	has := slices.ContainsFunc(kinds, func(k metric.Kind) bool { return slices.Contains(metric.Names(k), name) })
	ofClass := m.Linear == nil && !slices.Contains(metric.AllNames(), name)
	if has || ofClass || !metric.Known(name) {
		return false
	}
	c.report(c.place(key), "Metric of another kind", fmt.Sprintf("Take one of: %s.", strings.Join(metric.Names(kinds[0])[:8], ", ")),
		"Model %s is a %s, which has no %s (%s).", m.Name, m.Algorithm.Name(), name, where)
	return true
}

// checkGateText judges a condition on metrics.
func (c *call) checkGateText(key, gate string) {
	if c.e.checkGate == nil {
		return
	}
	if err := c.e.checkGate(gate); err != nil {
		f := diag.AsFinding("Bad gate", err)
		f.At, f.Severity = c.place(key), diag.Error
		if f.Fix == "" {
			f.Fix = `Write a metric, a comparison and a number, for example "auc >= 0.85".`
		}
		c.e.findings = append(c.e.findings, f)
	}
}

// part reads an argument that another builtin gave.
func (c *call) part(key, what string) (any, bool) {
	v := c.value(key)
	if v == nil {
		return nil, false
	}
	if r, ok := v.(*record); ok && r.what == what {
		return r.part, true
	}
	c.wrong(key, what+"(…)", v, what+"()")
	return nil, false
}

// column reads the name of a column.
func (c *call) column(key, example string, required bool) string {
	var name string
	if required {
		name = c.required(key, example)
	} else {
		name = c.text(key, "", example)
	}
	if name != "" {
		c.checkColumn(key, name)
	}
	return name
}

func (c *call) columns(key, example string) []string {
	names := c.texts(key, example)
	for _, name := range names {
		c.checkColumn(key, name)
	}
	return names
}

func (c *call) checkColumn(key, name string) {
	if strings.TrimSpace(name) != name || name == "" || strings.ContainsAny(name, "\n\x00") || len(name) > 63 {
		c.report(c.place(key), "Not a column", "Write the column's name as the database has it.", "%s of %s is %q.", key, c.name, name)
	}
}

// randomForest is random_forest(…).
func (c *call) randomForest() pipeline.Algorithm {
	f := pipeline.RandomForest{
		Trees:            c.whole("trees", 100, 1, 100_000),
		MaxDepth:         c.whole("max_depth", 8, 1, 100),
		FeaturesPerSplit: c.whole("features_per_split", 0, 0, math.MaxInt32),
		MinSplit:         c.whole("min_split", 2, 2, math.MaxInt32),
		MinLeaf:          c.whole("min_leaf", 1, 1, math.MaxInt32),
		Bins:             c.whole("bins", 32, 2, 255),
		ClassWeight:      c.classWeight("class_weight"),
	}
	return pipeline.Algorithm{Forest: &f}
}

// decisionTree is decision_tree(…).
func (c *call) decisionTree() pipeline.Algorithm {
	d := pipeline.DecisionTree{
		MaxDepth:    c.whole("max_depth", 8, 1, 64),
		MinSplit:    c.whole("min_split", 2, 2, math.MaxInt32),
		MinLeaf:     c.whole("min_leaf", 1, 1, math.MaxInt32),
		MinGain:     c.real("min_gain", 0, notNegative, isNotNegative),
		Alpha:       c.real("alpha", 0, notNegative, isNotNegative),
		Bins:        c.whole("bins", 255, 2, 255),
		ClassWeight: c.classWeight("class_weight"),
	}
	return pipeline.Algorithm{Tree: &d}
}

const notNegative = "a number from 0 up"

func isNotNegative(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// gradientBoosting is gradient_boosting(…).
func (c *call) gradientBoosting() pipeline.Algorithm {
	const some = "a number above 0, up to 1"
	isShare := func(v float64) bool { return v > 0 && v <= 1 }
	b := pipeline.GradientBoosting{
		Rounds:        c.whole("rounds", 100, 1, 10_000),
		LearningRate:  c.real("learning_rate", 0.1, some, isShare),
		MaxLeaves:     c.whole("max_leaves", 31, 2, 4096),
		MaxDepth:      c.whole("max_depth", 64, 1, 64),
		MinLeaf:       c.whole("min_leaf", 20, 1, 1<<25-1),
		MinHessian:    c.real("min_hessian", 0.001, notNegative, isNotNegative),
		L2:            c.real("l2", 0, notNegative, isNotNegative),
		MinGain:       c.real("min_gain", 0, notNegative, isNotNegative),
		Bins:          c.whole("bins", 255, 2, 255),
		RowShare:      c.real("row_share", 1, some, isShare),
		FeatureShare:  c.real("feature_share", 1, some, isShare),
		EarlyStopping: c.whole("early_stopping", 0, 0, 10_000),
		SetAside:      c.real("set_aside", 0.1, "a number between 0 and 1, both excluded", func(v float64) bool { return v > 0 && v < 1 }),
		ClassWeight:   c.classWeight("class_weight"),
	}
	return pipeline.Algorithm{Boosting: &b}
}

// logisticRegression is logistic_regression(…).
func (c *call) logisticRegression() pipeline.Algorithm {
	l := pipeline.LogisticRegression{
		C:           c.real("C", 1, `a number above 0, or float("inf") for no penalty`, func(v float64) bool { return v >= 1e-9 }),
		L1Ratio:     c.l1Ratio(),
		ClassWeight: c.classWeight("class_weight"),
		Fit:         c.fit(),
	}
	if math.IsInf(l.C, 1) {
		l.C = 0
	}
	return pipeline.Algorithm{Logistic: &l}
}

// linearRegression is linear_regression(…).
func (c *call) linearRegression() pipeline.Algorithm {
	l := pipeline.LinearRegression{
		Alpha:   c.real("alpha", 0, "a number from 0 to 1e9", func(v float64) bool { return v >= 0 && v <= 1e9 }),
		L1Ratio: c.l1Ratio(),
		Fit:     c.fit(),
	}
	return pipeline.Algorithm{Linear: &l}
}

func (c *call) l1Ratio() float64 {
	return c.real("l1_ratio", 0, "a number from 0 (ridge) to 1 (lasso)", func(v float64) bool { return v >= 0 && v <= 1 })
}

// fit reads what linear models have in common.
func (c *call) fit() pipeline.Fit {
	return pipeline.Fit{
		MaxIterations:     c.whole("max_iter", 1000, 1, 100_000),
		Tolerance:         c.real("tol", 1e-8, "a number above 0 and below 1", func(v float64) bool { return v > 0 && v < 1 }),
		MissingIndicators: c.boolean("missing_indicators", false),
		MaxLevels:         c.whole("max_levels", 100, 1, 2000),
	}
}

// classWeight reads "balanced" or a dict of weights by class.
func (c *call) classWeight(key string) *pipeline.ClassWeight {
	const example = `"balanced", or {"walk": 2.0}`
	switch v := c.value(key).(type) {
	case nil:
	case starlark.String:
		if v == "balanced" {
			return &pipeline.ClassWeight{Balanced: true}
		}
		c.report(c.place(key), "Unknown class weight", "Write "+key+" = "+example+".", "%s of %s is %s.", key, c.name, showValue(v))
	case *starlark.Dict:
		weights := map[string]float64{}
		for _, item := range v.Items() {
			class, weight, err := classAndWeight(item)
			if err != nil {
				c.report(c.place(key), "Bad class weight", "Write "+key+" = "+example+"; a weight is above 0 and at most 1e6.", "%s of %s: %v.", key, c.name, err)
				continue
			}
			weights[class] = weight
		}
		return &pipeline.ClassWeight{Weights: weights}
	default:
		c.wrong(key, "a text or a dict", v, example)
	}
	return nil
}

// classAndWeight reads an entry of a dict: a class by its text or number, and how much it counts.
func classAndWeight(item starlark.Tuple) (string, float64, error) {
	class, isText := starlark.AsString(item[0])
	if n, isInt := item[0].(starlark.Int); isInt {
		class = n.String()
	} else if b, isBool := item[0].(starlark.Bool); isBool {
		class = map[bool]string{false: "0", true: "1"}[bool(b)]
	} else if !isText {
		return "", 0, fmt.Errorf("%s is not a class", showValue(item[0]))
	}
	w, isNumber := starlark.AsFloat(item[1])
	if !isNumber || !(w > 0 && w <= 1e6) {
		return "", 0, fmt.Errorf("the weight of class %q is %s", class, item[1])
	}
	return class, w, nil
}

// share is the rule for a part of the groups.
const share = "a number between 0 and 1, both excluded"

// holdout is holdout(…).
func (e *evaluation) holdout(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "holdout", args, kwargs)
	h := pipeline.Holdout{
		Test: c.real("test", 0.2, share, func(v float64) bool { return v > 0 && v < 1 }),
		By:   c.column("by", "customer", false),
		Seed: c.seed("seed"),
		Time: c.column("time", "started", false),
	}
	c.finish()
	return &record{what: "holdout", part: h}, nil
}

// retrain is retrain(…).
func (e *evaluation) retrain(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "retrain", args, kwargs)
	r := pipeline.Retrain{
		NewRows:     int64(c.whole("new_rows", 0, 1, math.MaxInt32)),
		When:        c.text("when", "", "accuracy < 0.85"),
		Predictions: c.text("predictions", "", "shop.churn_prediction"),
		Labels:      c.text("labels", "", "shop.churned"),
		MinRows:     int64(c.whole("min_rows", 100, 1, math.MaxInt32)),
	}
	c.finish()
	if r.NewRows == 0 && r.When == "" && !c.has("new_rows") && !c.has("when") {
		c.report(c.at, "Nothing to retrain for", `Write retrain(new_rows = 1000), or when = "accuracy < 0.85" with predictions and labels.`,
			"retrain has no condition, so that the model would never be trained again.")
	}
	if (r.When != "") != (r.Predictions != "" && r.Labels != "") {
		c.report(c.at, "Half a condition", `Give when, predictions and labels together, or none of them.`,
			"A condition on past predictions compares the table of predictions with a table of labels.")
	}
	for _, table := range []struct{ key, name string }{{"predictions", r.Predictions}, {"labels", r.Labels}} {
		if _, _, err := sqltext.ParseName(table.name); table.name != "" && err != nil {
			c.report(c.place(table.key), "Not a table", `Write schema.table, for example "shop.churned".`, "%s.", err)
		}
	}
	if r.When != "" {
		c.checkGateText("when", r.When)
	}
	if strings.Contains(r.When, "paired.") {
		c.report(c.place("when"), "No two versions", `Compare a metric of the past predictions: "accuracy < champion.accuracy - 0.05".`,
			"when judges the champion's past predictions, and paired. metrics compare a new version with it (%s).", r.When)
	}
	return &record{what: "retrain", part: r}, nil
}

// crossValidation is cross_validation(…).
func (e *evaluation) crossValidation(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "cross_validation", args, kwargs)
	f := pipeline.Folds{K: c.whole("k", 5, 2, 1000), By: c.column("by", "customer", false), Seed: c.seed("seed")}
	c.finish()
	return &record{what: "cross_validation", part: f}, nil
}
