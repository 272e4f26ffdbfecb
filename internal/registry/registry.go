// Package registry judges trained models and moves their versions between states: candidate, champion, retired,
// rejected. Its central type is Registry, which works on a Store that keeps the versions.
//
//	Register ──gates pass, no approval asked──▶ champion ──another becomes champion──▶ retired
//	    └──else──▶ candidate ──Approve──▶ champion              ▲                        │
//	                   └──Reject──▶ rejected                    └───────Rollback─────────┘
//
// Invariants:
//  1. A version never changes after it was registered, except its state and who decided it, why and when.
//  2. A model has at most one champion, and it changes in one transaction of the store.
//  3. A version becomes champion without a person only when every gate passed and the model asks for no approval.
//  4. A version that Register makes champion was judged by the champion that it replaces.
//  5. Registering what one run trained, once more after a crash, makes no second version.
//  6. An alias names one version of its model, which is not rejected; who moved it, why and when is kept for ever.
//
// The package neither trains nor scores, and never deletes a version.
package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/heldout"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
)

// byGates is who decides when no person does.
const byGates = "gates"

// Registry judges and moves versions.
type Registry struct {
	store Store
	clock clock.Clock
}

// New gives a registry over a store.
func New(store Store, clock clock.Clock) *Registry { return &Registry{store: store, clock: clock} }

// Outcome is what became of a registered version.
type Outcome struct {
	Version  model.Version // as stored, with its number, state and judged gates
	Reason   string        // why it is in that state, in words
	Previous int           // number of the champion before, 0 when there was none
}

// Register judges a trained version by its model's gates, stores it, and makes it champion when all pass and the model
// asks for no approval; else it stays a candidate. v comes as trained, with RunID and Why filled in.
func (r *Registry) Register(ctx context.Context, m pipeline.Model, v model.Version, report metric.Report) (*Outcome, error) {
	for {
		champion, err := r.Champion(ctx, v.Model)
		if err != nil {
			return nil, err
		}
		previous := 0
		if champion != nil {
			previous = champion.Number
		}
		stored, err := r.find(ctx, v)
		if err != nil {
			return nil, err
		}
		if stored != nil {
			if previous == stored.Number {
				previous = 0
			}
			return &Outcome{*stored, stored.DecidedWhy, previous}, nil
		}
		if v.Gates, err = r.judge(ctx, m, v, report, champion); err != nil {
			return nil, err
		}
		v.State, v.Created = model.Champion, r.clock.Now()
		if m.Approval == "required" || len(failed(v.Gates)) > 0 {
			v.State = model.Candidate
		}
		v.DecidedBy, v.DecidedWhy, v.DecidedTime = byGates, reason(m, v.Gates), v.Created
		added, ok, err := r.store.AddVersion(ctx, v, previous)
		if err != nil {
			return nil, fmt.Errorf("store a version of model %s: %w", v.Model, err)
		}
		if ok { // else another became champion meanwhile: the gates are judged by that one
			return &Outcome{added, added.DecidedWhy, previous}, nil
		}
	}
}

// find gives the version that the same run registered with the same artifact before, nil when there is none.
func (r *Registry) find(ctx context.Context, v model.Version) (*model.Version, error) {
	if v.RunID == "" {
		return nil, nil
	}
	versions, err := r.store.Versions(ctx, v.Model)
	if err != nil {
		return nil, fmt.Errorf("list the versions of model %s: %w", v.Model, err)
	}
	for _, old := range versions {
		if old.RunID == v.RunID && old.Hash == v.Hash && old.Data == v.Data && string(old.Spec) == string(v.Spec) {
			return &old, nil
		}
	}
	return nil, nil
}

// judge evaluates the model's gates.
func (r *Registry) judge(ctx context.Context, m pipeline.Model, v model.Version, report metric.Report, champion *model.Version) ([]model.Gate, error) {
	var best *metric.Report
	if champion != nil {
		best = new(metric.Report)
		if err := json.Unmarshal(champion.Report, best); err != nil {
			return nil, fmt.Errorf("read the report of version %d of model %s: %w", champion.Number, champion.Model, err)
		}
	}
	gates, paired := make([]Gate, len(m.Gates)), false
	for i, text := range m.Gates {
		var err error
		if gates[i], err = ParseGate(text); err != nil {
			f := diag.AsFinding("Bad gate", err)
			f.At = m.At
			return nil, f
		}
		paired = paired || gates[i].Paired()
	}
	var shared *heldout.Comparison
	var why string
	if paired && champion != nil {
		old, err := r.withHeldOut(ctx, *champion)
		if err != nil {
			return nil, err
		}
		if shared, why, err = r.pair(ctx, v, old, report, *best); err != nil {
			return nil, err
		}
	}
	judged := make([]model.Gate, len(gates))
	for i, g := range gates {
		if g.Paired() {
			judged[i] = g.judgePaired(shared, why, best)
		} else {
			judged[i] = g.Judge(report, best)
		}
	}
	return judged, nil
}

func failed(gates []model.Gate) []string {
	var out []string
	for _, g := range gates {
		if !g.Passed {
			out = append(out, fmt.Sprintf("%s: %s", g.Expr, g.Detail))
		}
	}
	return out
}

// reason says what the gates decided.
func reason(m pipeline.Model, gates []model.Gate) string {
	bad := failed(gates)
	switch {
	case len(bad) > 0:
		if len(gates) == 1 {
			return "its gate failed: " + bad[0]
		}
		return fmt.Sprintf("%d of %d gates failed: %s", len(bad), len(gates), strings.Join(bad, "; "))
	case m.Approval == "required":
		return "waits for a person's approval; " + passedAll(len(gates))
	}
	return passedAll(len(gates))
}

func passedAll(n int) string {
	switch n {
	case 0:
		return "the model has no gates"
	case 1:
		return "its gate passed"
	}
	return fmt.Sprintf("all %d gates passed", n)
}

// Champion gives the version that scores, with its artifact; nil when the model has none.
func (r *Registry) Champion(ctx context.Context, name string) (*model.Version, error) {
	v, err := r.store.Version(ctx, name, 0)
	if err != nil {
		return nil, fmt.Errorf("read the champion of model %s: %w", name, err)
	}
	return v, nil
}

// List gives a model's versions without artifacts, newest first; name "" = those of all models.
func (r *Registry) List(ctx context.Context, name string) ([]model.Version, error) {
	versions, err := r.store.Versions(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("list model versions: %w", err)
	}
	if name != "" && len(versions) == 0 {
		return nil, r.unknownModel(ctx, name)
	}
	return versions, r.addAliases(ctx, name, versions)
}

// Newest gives the version that was registered last, without its artifact; nil when the model has none.
func (r *Registry) Newest(ctx context.Context, name string) (*model.Version, error) {
	versions, err := r.store.Versions(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("list the versions of model %s: %w", name, err)
	}
	if len(versions) == 0 {
		return nil, nil
	}
	return &versions[0], nil
}

// Show gives one version with its artifact; number 0 = the champion. A version that does not exist is a finding.
func (r *Registry) Show(ctx context.Context, name string, number int) (*model.Version, error) {
	v, err := r.store.Version(ctx, name, number)
	if err != nil {
		return nil, fmt.Errorf("read version %d of model %s: %w", number, name, err)
	}
	if v != nil {
		one := []model.Version{*v}
		return &one[0], r.addAliases(ctx, name, one)
	}
	versions, err := r.List(ctx, name)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		return nil, diag.Finding{Summary: "No champion", Detail: fmt.Sprintf("No version of model %q is champion; the newest, %d, is %s: %s.", name, versions[0].Number, versions[0].State, versions[0].DecidedWhy),
			Fix: "Approve a version, or train one that passes the gates."}
	}
	return nil, diag.Finding{Summary: "Unknown version", Detail: fmt.Sprintf("Model %q has no version %d; the newest is %d.", name, number, versions[0].Number),
		Fix: fmt.Sprintf("`damson model list %s` shows its versions.", name)}
}

func (r *Registry) unknownModel(ctx context.Context, name string) error {
	all, err := r.store.Versions(ctx, "")
	if err != nil {
		return fmt.Errorf("list model versions: %w", err)
	}
	var names []string
	for _, v := range all {
		if !slices.Contains(names, v.Model) {
			names = append(names, v.Model)
		}
	}
	fix := diag.DidYouMean(name, names)
	if fix == "" {
		fix = "Run the pipeline that trains it."
	}
	return diag.Finding{Summary: "No such model", Detail: fmt.Sprintf("No version of a model named %q has been trained.", name), Fix: fix}
}
