package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"damson/internal/heldout"
	"damson/internal/metric"
	"damson/internal/model"
)

// Comparison sets two versions side by side.
type Comparison struct {
	A        model.Version `json:"a"`
	B        model.Version `json:"b"`
	SameData bool          `json:"same_data"` // trained from the same rows
	SameSQL  bool          `json:"same_sql"`
	Metrics  []Difference  `json:"metrics"` // those that one of them has
	Features []string      `json:"features_changed,omitempty"`
	Spec     []string      `json:"parameters_changed,omitempty"` // "random_forest.trees: 20 → 50"

	Paired   *heldout.Comparison `json:"paired,omitempty"`   // on the rows that both held out
	Unpaired string              `json:"unpaired,omitempty"` // why there is no such comparison
}

// Difference is one metric of both versions; nil where a version does not have it.
type Difference struct {
	Metric string   `json:"metric"`
	A      *float64 `json:"a"`
	B      *float64 `json:"b"`
}

// Compare gives the differences between two versions of a model; number 0 = the champion. Metrics are of each one's own held-out
// rows, which are the same ones when SameData; Paired is of those that both have.
func (r *Registry) Compare(ctx context.Context, name string, a, b int) (*Comparison, error) {
	va, err := r.Show(ctx, name, a)
	if err != nil {
		return nil, err
	}
	vb, err := r.Show(ctx, name, b)
	if err != nil {
		return nil, err
	}
	var ra, rb metric.Report
	if err := json.Unmarshal(va.Report, &ra); err != nil {
		return nil, fmt.Errorf("read the report of version %d of model %s: %w", va.Number, name, err)
	}
	if err := json.Unmarshal(vb.Report, &rb); err != nil {
		return nil, fmt.Errorf("read the report of version %d of model %s: %w", vb.Number, name, err)
	}
	c := &Comparison{A: *va, B: *vb, SameData: va.Data == vb.Data, SameSQL: va.SQL == vb.SQL, Spec: specChanges(va.Spec, vb.Spec)}
	names := ra.Names()
	for _, n := range rb.Names() {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for _, n := range names {
		d := Difference{Metric: n}
		if v, ok := ra.Value(n); ok {
			d.A = &v
		}
		if v, ok := rb.Value(n); ok {
			d.B = &v
		}
		c.Metrics = append(c.Metrics, d)
	}
	for _, f := range va.Features {
		if !slices.Contains(vb.Features, f) {
			c.Features = append(c.Features, "-"+f)
		}
	}
	for _, f := range vb.Features {
		if !slices.Contains(va.Features, f) {
			c.Features = append(c.Features, "+"+f)
		}
	}
	return c, r.addPaired(ctx, c, ra, rb)
}

// addPaired compares the versions on the rows that both held out, where that can be done.
func (r *Registry) addPaired(ctx context.Context, c *Comparison, ra, rb metric.Report) error {
	if c.A.Number == c.B.Number {
		c.Unpaired = "they are one version"
		return nil
	}
	a, err := r.withHeldOut(ctx, c.A)
	if err != nil {
		return err
	}
	b, err := r.withHeldOut(ctx, c.B)
	if err != nil {
		return err
	}
	c.Paired, c.Unpaired, err = r.pair(ctx, a, b, ra, rb)
	return err
}

// specChanges lists what differs between two declarations, apart from where they stand in a file.
func specChanges(a, b json.RawMessage) []string {
	x, y := map[string]string{}, map[string]string{}
	flatten("", a, x)
	flatten("", b, y)
	keys := slices.Sorted(maps.Keys(x))
	for k := range y {
		if _, ok := x[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var out []string
	for _, k := range keys {
		if x[k] != y[k] && !strings.HasPrefix(k, "at.") {
			out = append(out, fmt.Sprintf("%s: %s → %s", k, or(x[k], "none"), or(y[k], "none")))
		}
	}
	return out
}

// flatten writes the leaves of a JSON object under their dotted names.
func flatten(name string, text json.RawMessage, into map[string]string) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		into[name] = string(text)
		return
	}
	for k, v := range object {
		flatten(strings.TrimPrefix(name+"."+k, "."), v, into)
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
