package declare

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/search"
)

// values are those that a parameter may have in a search: what choice(…), integer(…) and real(…) give.
type values struct {
	choices []starlark.Value // of a range its ends
	bounds  *pipeline.Range
}

// oneOf is choice([…]).
func (e *evaluation) oneOf(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "choice", args, kwargs, "values")
	v := c.value("values")
	list, ok := sequence(v)
	c.finish()
	switch {
	case v == nil:
		c.report(c.at, "Missing argument", "Write for example choice([4, 8, 12]).", "choice needs a list of values.")
	case !ok:
		c.wrong("values", "a list", v, "[4, 8, 12]")
	case len(list) == 0:
		c.report(c.at, "Nothing to choose from", "Write for example choice([4, 8, 12]).", "The list of choice is empty.")
	case len(list) > search.MaxTrials:
		c.report(c.at, "Too many values", "Take a range: integer(1, 5000), or real(0.0, 1.0).", "choice has %d values, and a search tries %d combinations at most.", len(list), search.MaxTrials)
		list = nil
	}
	return &record{what: "choice", part: values{choices: list}}, nil
}

// integerRange is integer(low, high).
func (e *evaluation) integerRange(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "integer", args, kwargs, "low", "high")
	low, high := c.whole("low", 0, 0, math.MaxInt32), c.whole("high", 0, 0, math.MaxInt32)
	r := pipeline.Range{Low: float64(low), High: float64(high), Whole: true, Step: c.whole("step", 1, 1, math.MaxInt32), Log: c.boolean("log", false)}
	if r.Log && r.Step > 1 {
		c.report(c.place("step"), "Step and logarithm", "Remove step, or log.", "integer has a step of %d, and log = True.", r.Step)
	}
	return c.between(r, "integer(4, 12)", starlark.MakeInt(low), starlark.MakeInt(high))
}

// realRange is real(low, high).
func (e *evaluation) realRange(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "real", args, kwargs, "low", "high")
	finite := func(v float64) bool { return !math.IsInf(v, 0) }
	r := pipeline.Range{Low: c.real("low", 0, "a finite number", finite), High: c.real("high", 0, "a finite number", finite), Log: c.boolean("log", false)}
	return c.between(r, "real(0.01, 0.3)", starlark.Float(r.Low), starlark.Float(r.High))
}

// between ends the call of a range.
func (c *call) between(r pipeline.Range, example string, low, high starlark.Value) (starlark.Value, error) {
	c.finish()
	switch {
	case !c.has("low") || !c.has("high"):
		c.report(c.at, "Missing argument", "Write for example "+example+".", "%s needs its lowest and its highest value.", c.name)
	case r.Low >= r.High:
		c.report(c.at, "Not a range", "Write the lower number first: "+example+".", "%s goes from %v to %v.", c.name, low, high)
	case r.Log && r.Low <= 0:
		c.report(c.place("log"), "No logarithm", "Begin above 0, or remove log.", "%s begins at %v, and log = True needs numbers above 0.", c.name, low)
	default:
		return &record{what: c.name, part: values{choices: []starlark.Value{low, high}, bounds: &r}}, nil
	}
	return &record{what: c.name, part: values{}}, nil // said already
}

// takeSpaces puts the first of its values in the place of every parameter that is searched.
func (c *call) takeSpaces() map[string]values {
	spaces := map[string]values{}
	for _, key := range c.order {
		var own values
		switch v := c.given[key].(type) {
		case *record:
			var ok bool
			if own, ok = v.part.(values); !ok {
				continue
			}
		case *starlark.List:
			c.report(c.place(key), "Several values", fmt.Sprintf("Write %s = choice(%s), and add a search to the model.", key, shortened(v)), "%s of %s is a list.", key, c.name)
		default:
			continue
		}
		spaces[key], c.given[key] = own, starlark.None
		if len(own.choices) > 0 {
			c.given[key] = own.choices[0]
		}
	}
	return spaces
}

func shortened(list *starlark.List) string {
	if list.Len() > 8 {
		return "[…]"
	}
	return list.String()
}

// dimensions gives the searched parameters of a call, each value read as if it stood there alone. What is wrong with the first ones
// has been said.
func (c *call) dimensions(spaces map[string]values, first pipeline.Algorithm, read func(c *call) pipeline.Algorithm) []pipeline.Dimension {
	var space []pipeline.Dimension
	for _, key := range c.order {
		v, ok := spaces[key]
		if !ok || len(v.choices) == 0 || !slices.Contains(c.known, key) {
			continue
		}
		d := pipeline.Dimension{Parameter: key, Range: v.bounds}
		d.Choices = []json.RawMessage{parameter(first, key, v.choices[0])}
		for _, other := range v.choices[1:] {
			before := len(c.e.findings)
			one := *c
			one.given, one.order, one.known = map[string]starlark.Value{key: other}, []string{key}, nil
			d.Choices = append(d.Choices, parameter(read(&one), key, other))
			if len(c.e.findings) > before {
				break
			}
		}
		if d.Range != nil {
			d.Choices = nil
		}
		c.checkTwice(d)
		space = append(space, d)
	}
	return space
}

// parameter gives a parameter as the algorithm's JSON has it, where those that are not set are absent.
func parameter(a pipeline.Algorithm, key string, given starlark.Value) json.RawMessage {
	text, err := json.Marshal(a)
	var all map[string]map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		panic(fmt.Sprintf("declare: an algorithm that has no JSON: %v", err)) // it is plain data
	}
	if own, ok := all[a.Name()][strings.ToLower(key)]; ok {
		return own
	}
	if _, isBool := given.(starlark.Bool); isBool {
		return json.RawMessage("false")
	}
	return json.RawMessage("null")
}

func (c *call) checkTwice(d pipeline.Dimension) {
	seen := map[string]bool{}
	for _, v := range d.Choices {
		if seen[string(v)] {
			c.report(c.place(d.Parameter), "One value twice", "Remove one of the two.", "%s of %s may be chosen as %s twice.", d.Parameter, c.name, v)
			return
		}
		seen[string(v)] = true
	}
}

// gridSearch is grid_search(…).
func (e *evaluation) gridSearch(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "grid_search", args, kwargs)
	return c.searching(pipeline.Search{Method: pipeline.GridSearch})
}

// randomSearch is random_search(…).
func (e *evaluation) randomSearch(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "random_search", args, kwargs)
	return c.searching(pipeline.Search{Method: pipeline.RandomSearch, Trials: c.whole("trials", 10, 1, search.MaxTrials)})
}

// searching reads what both searches have in common.
func (c *call) searching(s pipeline.Search) (starlark.Value, error) {
	s.Metric, s.Folds, s.Seed = c.text("metric", "", "auc"), c.whole("folds", 5, 2, 20), c.seed("seed")
	c.finish()
	if _, ok := metric.Ranks(s.Metric); !ok && s.Metric != "" {
		var names []string
		for _, k := range metric.Kinds {
			names = append(names, metric.Ranking(k)...)
		}
		fix := diag.DidYouMean(s.Metric, names)
		if fix == "" {
			fix = `Take for example "auc", "log_loss", "macro_f1", "recall.bus", "rmse" or "silhouette".`
		}
		c.report(c.place("metric"), "Unknown metric", fix, "%s ranks by %q, which is no metric of a fold's rows that says how good a model is.", c.name, s.Metric)
		s.Metric = ""
	}
	return &record{what: c.name, part: s}, nil
}

// search reads how a model's parameters are searched.
func (c *call) search(key string, l learning) *pipeline.Search {
	v := c.value(key)
	r, ok := v.(*record)
	switch {
	case v == nil && len(l.space) > 0:
		c.report(c.place("algorithm"), "Nothing chooses", "Add search = random_search(trials = 20), or search = grid_search().",
			"Several values are given for %s, and the model has no search.", parameterNames(l.space))
		return nil
	case v == nil:
		return nil
	case !ok || r.what != "grid_search" && r.what != "random_search":
		c.wrong(key, "grid_search(…) or random_search(…)", v, "random_search(trials = 20)")
		return nil
	case len(l.space) == 0:
		if l.searched {
			return nil // what is wrong has been said
		}
		c.report(c.place(key), "Nothing to search", "Give parameters of the algorithm several values: max_depth = choice([4, 8, 12]), or integer(4, 12).",
			"No parameter of the model's algorithm has more than one value.")
		return nil
	}
	s := r.part.(pipeline.Search)
	s.Space = l.space
	return &s
}

func parameterNames(space []pipeline.Dimension) string {
	names := make([]string, len(space))
	for i, d := range space {
		names[i] = d.Parameter
	}
	return strings.Join(names, ", ")
}

// checkSearch judges a search together with its model.
func (c *call) checkSearch(m *pipeline.Model) {
	s := m.Search
	if s == nil {
		return
	}
	if n := search.Combinations(s.Space); s.Method == pipeline.GridSearch && n > search.MaxTrials {
		c.checkGrid(m, n)
	}
	if s.Metric == "" || c.foreignMetric(m, "search", s.Metric, "search") {
		return
	}
	plain, ofSegment := strings.CutPrefix(s.Metric, "segment.")
	if ofSegment && m.Segment == "" {
		c.report(c.place("search"), "No segments", `Add segment = the column whose equal values are one.`, "The search of model %s ranks by %s, and the model has no segment.", m.Name, s.Metric)
	}
	if strings.HasPrefix(plain, "weighted_") && plain != "weighted_f1" && m.Weight == "" {
		c.report(c.place("search"), "No weights", `Add weight = the column of weights.`, "The search of model %s ranks by %s, and the model has no weight.", m.Name, s.Metric)
	}
}

// checkGrid refuses a grid of too many combinations.
func (c *call) checkGrid(m *pipeline.Model, n int) {
	for _, d := range m.Search.Space {
		if d.Range != nil && !d.Range.Whole {
			c.report(c.place("search"), "A grid without end", fmt.Sprintf("Write %s = choice([…]), or search = random_search(trials = 20).", d.Parameter),
				"grid_search of model %s tries every combination, and %s may be any number from %v to %v.", m.Name, d.Parameter, d.Range.Low, d.Range.High)
			return
		}
	}
	many := fmt.Sprint(n)
	if n == search.Endless {
		many = "countless"
	}
	c.report(c.place("search"), "Too many trials", "Give fewer values, or take search = random_search(trials = 20).",
		"grid_search of model %s has %s combinations; a search tries %d at most.", m.Name, many, search.MaxTrials)
}
