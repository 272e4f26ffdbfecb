// Package feature computes numbers that describe a time series, under the names and with the values of tsfresh
// (https://tsfresh.readthedocs.io, version 0.21). Its central type is Feature: a calculator with its parameters, such as
// quantile__q_0.9. A feature is computed in Go, over the values of a series in their order, by an Extractor; those that need
// neither the order nor a second look at the rows are also written as an aggregate of SQL.
//
// Invariants:
//  1. A feature's name is tsfresh's: calculator, then parameters sorted by name, floats as Python prints them.
//  2. A series is its finite values: NULL, NaN and the infinities are left out, in SQL as in Go.
//  3. What is not defined for a series, tsfresh's exceptions included, is NaN in Go and NULL in SQL. Truth is 1 or 0.
//  4. Sums are taken in numpy's order, so that comparisons with a mean fall out as they do there, ties included.
//
// It reads no rows and knows no database: package series cuts rows into series.
package feature

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"damson/internal/diag"
)

// calculator is one entry of the register.
type calculator struct {
	name    string
	params  []parameter // sorted by name
	formula string      // for docs/features.md
	compute func(s *series, p arguments) float64
	sql     func(v string, p arguments) string // nil: Go only. v is the finite value, a double precision
	empty   bool                               // compute is defined for a series without values
	costly  bool                               // its time grows with the square of the series' length
	usual   []string                           // parameters in tsfresh's comprehensive set, as in names; none: once, without
}

// register holds all calculators by name; the files of the package put their own into it.
var register = map[string]*calculator{}

func add(list ...calculator) struct{} {
	for i := range list {
		if register[list[i].name] != nil {
			panic("feature: " + list[i].name + " is registered twice")
		}
		register[list[i].name] = &list[i]
	}
	return struct{}{}
}

// Info says what there is to know of a calculator, for documentation.
type Info struct {
	Name       string
	Parameters string // "q: number from 0 to 1"; "" = none
	Formula    string
	SQL        bool // there is an aggregate of SQL for it
	Usual      int  // features in the comprehensive set
}

// Calculators lists all calculators by name.
func Calculators() []Info {
	var list []Info
	for _, name := range slices.Sorted(maps.Keys(register)) {
		c := register[name]
		var params []string
		for _, p := range c.params {
			params = append(params, p.name+": "+p.what())
		}
		list = append(list, Info{name, strings.Join(params, "; "), c.formula, c.sql != nil, max(1, len(c.usual))})
	}
	return list
}

// Feature is a calculator with its parameters.
type Feature struct {
	calculator *calculator
	args       arguments
	name       string
	as         string
}

// Name is the feature's name in tsfresh: "quantile__q_0.9".
func (f Feature) Name() string { return f.name }

// Column is the name of the feature's column for a value: "speed__quantile__q_0.9", or with the name it was given instead.
func (f Feature) Column(value string) string {
	if f.as != "" {
		return value + "__" + f.as
	}
	return value + "__" + f.name
}

// Choice asks for a feature or a set of them. As, when given, takes the place of the feature's name in its column.
type Choice struct {
	Name string `json:"name"`
	As   string `json:"as,omitempty"`
}

// Select gives the features of the choices in their order, each once. The error holds a finding, without a place, for each
// choice that is none.
func Select(choices []Choice) ([]Feature, error) {
	var all []Feature
	var wrong diag.Findings
	seen := map[string]string{}
	put := func(f Feature) {
		column := f.Column("")
		switch before, again := seen[column]; {
		case !again:
			seen[column] = f.name
			all = append(all, f)
		case before != f.name:
			wrong = append(wrong, diag.Finding{Severity: diag.Error, Summary: "Two features of one name",
				Detail: fmt.Sprintf("%s and %s are both to be called %q.", before, f.name, strings.TrimPrefix(column, "__")), Fix: "Give one of them another name."})
		}
	}
	for _, choice := range choices {
		if set, isSet := setOf(choice.Name); isSet {
			if choice.As != "" {
				wrong = append(wrong, diag.Finding{Severity: diag.Error, Summary: "A set has no name of its own", Detail: fmt.Sprintf("%q is a set of calculators and is to be called %q.", choice.Name, choice.As),
					Fix: "Give names to single calculators, or list the set without."})
			}
			for _, f := range set {
				put(f)
			}
			continue
		}
		f, err := Parse(choice.Name)
		if err != nil {
			wrong = append(wrong, diag.AsFinding("Bad calculator", err))
			continue
		}
		f.as = choice.As
		put(f)
	}
	return all, wrong.Err()
}

// SetNames are the sets of calculators, tsfresh's: minimal, efficient (all whose time does not grow with the square of the
// series' length) and comprehensive.
func SetNames() []string { return []string{"minimal", "efficient", "comprehensive"} }

// minimal lists tsfresh's MinimalFCParameters, in its order.
var minimal = []string{"sum_values", "median", "mean", "length", "standard_deviation", "variance", "root_mean_square", "maximum", "absolute_maximum", "minimum"}

func setOf(name string) ([]Feature, bool) {
	if !slices.Contains(SetNames(), name) {
		return nil, false
	}
	names := minimal
	if name != "minimal" {
		names = slices.Sorted(maps.Keys(register))
	}
	var all []Feature
	for _, n := range names {
		c := register[n]
		if c.costly && name == "efficient" {
			continue
		}
		usual := c.usual
		if len(usual) == 0 {
			usual = []string{""}
		}
		for _, params := range usual {
			f, err := Parse(strings.TrimSuffix(n+"__"+params, "__"))
			if err != nil {
				panic("feature: the comprehensive set: " + err.Error())
			}
			all = append(all, f)
		}
	}
	return all, true
}

// Parse reads a feature's name as tsfresh writes it: mean, quantile__q_0.9, fft_coefficient__attr_"abs"__coeff_3. The order of
// the parameters and the quotes of words do not matter. The error is a diag.Finding without a place.
func Parse(name string) (Feature, error) {
	parts := strings.Split(strings.TrimSpace(name), "__")
	c := register[parts[0]]
	if c == nil {
		known := append(slices.Sorted(maps.Keys(register)), SetNames()...)
		fix := diag.DidYouMean(parts[0], known)
		if fix == "" {
			fix = "Take a set (" + strings.Join(SetNames(), ", ") + ") or a calculator of docs/features.md."
		}
		return Feature{}, diag.Finding{Severity: diag.Error, Summary: "Unknown calculator", Detail: fmt.Sprintf("There is no calculator %q.", parts[0]), Fix: fix}
	}
	f := Feature{calculator: c, args: make(arguments, len(c.params))}
	given := make([]bool, len(c.params))
	for _, part := range parts[1:] {
		i := slices.IndexFunc(c.params, func(p parameter) bool { return strings.HasPrefix(part, p.name+"_") })
		if i < 0 {
			return Feature{}, c.wrong(name, fmt.Sprintf("%q is no parameter of %s", part, c.name))
		}
		if given[i] {
			return Feature{}, c.wrong(name, fmt.Sprintf("the parameter %s stands in it twice", c.params[i].name))
		}
		given[i] = true
		arg, ok := c.params[i].read(strings.TrimPrefix(part, c.params[i].name+"_"))
		if !ok {
			return Feature{}, c.wrong(name, fmt.Sprintf("%s must be %s", c.params[i].name, c.params[i].what()))
		}
		f.args[i] = arg
	}
	f.name = c.name
	for i, p := range c.params {
		if !given[i] {
			if p.otherwise == "" {
				return Feature{}, c.wrong(name, fmt.Sprintf("its parameter %s is missing", p.name))
			}
			f.args[i], _ = p.read(p.otherwise)
		}
		f.name += "__" + p.name + "_" + f.args[i].text
	}
	if c.name == "energy_ratio_by_chunks" && f.args.number(1) >= f.args.number(0) {
		return Feature{}, c.wrong(name, "segment_focus counts the segments from 0, so it must be less than num_segments")
	}
	return f, nil
}

// wrong is the finding for a name whose parameters do not fit.
func (c *calculator) wrong(name, why string) diag.Finding {
	return diag.Finding{Severity: diag.Error, Summary: "Bad parameters of a calculator", Detail: fmt.Sprintf("%s: %s.", name, why),
		Fix: fmt.Sprintf("Write for example %q.", c.example())}
}

// example is a name that Parse reads.
func (c *calculator) example() string {
	if len(c.usual) > 0 {
		return c.name + "__" + c.usual[len(c.usual)/2]
	}
	name := c.name
	for _, p := range c.params {
		name += "__" + p.name + "_" + p.example()
	}
	return name
}
