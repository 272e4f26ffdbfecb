package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/heldout"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/registry"
)

// memory is a registry.Store for tests.
type memory struct {
	versions []model.Version
	aliases  []model.Alias
	meddle   func() // what somebody else does before a version moves
}

func (m *memory) AddVersion(_ context.Context, v model.Version, champion int) (model.Version, bool, error) {
	if v.State == model.Champion && !m.replace(v.Model, champion) {
		return model.Version{}, false, nil
	}
	v.Number = 1
	for _, old := range m.versions {
		if old.Model == v.Model {
			v.Number = max(v.Number, old.Number+1)
		}
	}
	m.versions = append(m.versions, v)
	return v, true, nil
}

// replace retires a model's champion, if it is the one of that number.
func (m *memory) replace(name string, champion int) bool {
	for i := range m.versions {
		if v := &m.versions[i]; v.Model == name && v.State == model.Champion {
			if v.Number == champion {
				v.State = model.Retired
			}
			return v.Number == champion
		}
	}
	return champion == 0
}

func (m *memory) Versions(_ context.Context, name string) ([]model.Version, error) {
	var out []model.Version
	for _, v := range slices.Backward(m.versions) {
		if name == "" || v.Model == name {
			v.Artifact = nil
			out = append(out, v)
		}
	}
	return out, nil
}

func (m *memory) Version(_ context.Context, name string, number int) (*model.Version, error) {
	for _, v := range m.versions {
		if v.Model == name && (v.Number == number || number == 0 && v.State == model.Champion) {
			return &v, nil
		}
	}
	return nil, nil
}

func (m *memory) HeldOut(ctx context.Context, name string, number int) ([]byte, error) {
	v, err := m.Version(ctx, name, number)
	return v.HeldOut, err
}

func (m *memory) MoveAlias(_ context.Context, a model.Alias) (before int, err error) {
	for _, old := range m.aliases {
		if old.Model == a.Model && old.Name == a.Name {
			before = old.Number
		}
	}
	m.aliases = append(m.aliases, a)
	return before, nil
}

func (m *memory) AliasMoves(_ context.Context, name string) ([]model.Alias, error) {
	return slices.DeleteFunc(slices.Clone(m.aliases), func(a model.Alias) bool { return name != "" && a.Model != name }), nil
}

func (m *memory) MoveVersion(_ context.Context, move model.Move) (bool, error) {
	if m.meddle != nil {
		m.meddle()
	}
	for i := range m.versions {
		v := &m.versions[i]
		if v.Model != move.Model || v.Number != move.Number {
			continue
		}
		if v.State != move.From || move.To == model.Champion && !m.replace(move.Model, move.Champion) {
			return false, nil
		}
		v.State, v.DecidedBy, v.DecidedWhy, v.DecidedTime = move.To, move.By, move.Why, move.At
	}
	return true, nil
}

// ticking is a clock that advances by a second each time it is read.
type ticking struct{ now time.Time }

func (c *ticking) Now() time.Time {
	c.now = c.now.Add(time.Second)
	return c.now
}
func (c *ticking) Sleep(context.Context, time.Duration) error { return nil }

// world is a registry with its store, and the model that tests register versions of.
type world struct {
	*registry.Registry
	store *memory
	model pipeline.Model
}

func newWorld(gates ...string) *world {
	s := &memory{}
	return &world{registry.New(s, &ticking{now: time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)}), s, pipeline.Model{Name: "walk", Gates: gates, Approval: "none"}}
}

// register registers a version of the given AUC.
func (w *world) register(t *testing.T, auc float64) *registry.Outcome {
	t.Helper()
	v, report := trained(auc)
	got, err := w.Register(context.Background(), w.model, v, report)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func trained(auc float64) (model.Version, metric.Report) {
	report := metric.Report{Rows: 100, Metrics: map[string]float64{"auc": auc, "log_loss": 1 - auc}}
	text, err := json.Marshal(report)
	if err != nil {
		panic(err)
	}
	hash := fmt.Sprint(auc)
	return model.Version{Model: "walk", Report: text, Hash: hash, Data: "d", RunID: "run " + hash, Spec: json.RawMessage(`{"random_forest":{"trees":20}}`), Artifact: []byte(hash)}, report
}

// states gives the state of each version, by number.
func (w *world) states() string {
	var out []string
	for _, v := range w.store.versions {
		out = append(out, fmt.Sprintf("%d %s", v.Number, v.State))
	}
	return strings.Join(out, ", ")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	var f diag.Finding
	if !errors.As(err, &f) || f.Fix == "" {
		t.Fatalf("not a finding with a fix: %v", err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q is not in:\n%v", p, err)
		}
	}
}

func TestTheFirstVersionThatPassesIsChampion(t *testing.T) {
	t.Parallel()
	w := newWorld("auc >= 0.85", "auc >= champion.auc - 0.01")
	got := w.register(t, 0.9)
	if got.Version.State != model.Champion || got.Version.Number != 1 || got.Previous != 0 || got.Reason != "all 2 gates passed" {
		t.Errorf("%+v", got)
	}
	want := []model.Gate{
		{Expr: "auc >= 0.85", Passed: true, Detail: "auc is 0.9, above 0.85"},
		{Expr: "auc >= champion.auc - 0.01", Passed: true, Detail: "auc is 0.9; there is no champion to compare with"},
	}
	if diff := cmp.Diff(want, got.Version.Gates); diff != "" {
		t.Error(diff)
	}
	champion, err := w.Champion(context.Background(), "walk")
	if err != nil || champion.Number != 1 || champion.DecidedBy != "gates" || string(champion.Artifact) != "0.9" {
		t.Errorf("%+v, %v", champion, err)
	}
}

func TestAWorseChallengerStaysCandidate(t *testing.T) {
	t.Parallel()
	w := newWorld("auc >= champion.auc - 0.01")
	w.register(t, 0.9)
	got := w.register(t, 0.8)
	if got.Version.State != model.Candidate || got.Previous != 1 {
		t.Errorf("%+v", got)
	}
	if want := "its gate failed: auc >= champion.auc - 0.01: auc is 0.8, below 0.89 (champion's 0.9 - 0.01)"; got.Reason != want {
		t.Errorf("reason %s", got.Reason)
	}
	w.register(t, 0.895)
	if want := "1 retired, 2 candidate, 3 champion"; w.states() != want {
		t.Error(w.states())
	}
	_, err := w.Approve(context.Background(), "walk", 2, registry.Decision{By: "ada"})
	wantError(t, err, "Gates failed", "auc is 0.8")
	if _, err := w.Approve(context.Background(), "walk", 2, registry.Decision{By: "ada", Why: "holiday", DespiteGates: true}); err != nil {
		t.Fatal(err)
	}
	if want := "1 retired, 2 champion, 3 retired"; w.states() != want {
		t.Error(w.states())
	}
}

func TestApprovalIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld("auc >= 0.5")
	w.model.Approval = "required"
	if got := w.register(t, 0.9); got.Version.State != model.Candidate || got.Reason != "waits for a person's approval; its gate passed" {
		t.Errorf("%+v", got)
	}
	_, err := w.Show(context.Background(), "walk", 0)
	wantError(t, err, "No champion", "waits for a person's approval")
	_, err = w.Approve(context.Background(), "walk", 1, registry.Decision{})
	wantError(t, err, "Nobody decided")
	got, err := w.Approve(context.Background(), "walk", 1, registry.Decision{By: "ada", Why: "looks right"})
	if err != nil || got.State != model.Champion || got.DecidedBy != "ada" || got.DecidedWhy != "looks right" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = w.Approve(context.Background(), "walk", 1, registry.Decision{By: "ada"})
	wantError(t, err, "is champion", "roll back")
}

// TestRegisteringAgainMakesNoSecondVersion is what happens when a process dies after its version was stored.
func TestRegisteringAgainMakesNoSecondVersion(t *testing.T) {
	t.Parallel()
	w := newWorld("auc >= 0.5", "auc >= champion.auc")
	for range 2 {
		if got := w.register(t, 0.6); got.Version.Number != 1 || got.Version.State != model.Champion || got.Previous != 0 {
			t.Errorf("%+v", got)
		}
	}
	w.register(t, 0.9)
	if got := w.register(t, 0.6); got.Version.Number != 1 || got.Version.State != model.Retired || got.Previous != 2 {
		t.Errorf("%+v", got)
	}
	if w.states() != "1 retired, 2 champion" {
		t.Error(w.states())
	}
}

// crowded is a store that many use at a time, and that lets others go ahead.
type crowded struct {
	registry.Store
	mu sync.Mutex
}

func (c *crowded) AddVersion(ctx context.Context, v model.Version, champion int) (model.Version, bool, error) {
	runtime.Gosched()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Store.AddVersion(ctx, v, champion)
}

func (c *crowded) Versions(ctx context.Context, name string) ([]model.Version, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Store.Versions(ctx, name)
}

func (c *crowded) Version(ctx context.Context, name string, number int) (*model.Version, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Store.Version(ctx, name, number)
}

// TestTwoWhoDecideAtOnce: the second word is about what the first has changed.
func TestTwoWhoDecideAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld("auc >= 0.5")
	w.model.Approval = "required"
	w.register(t, 0.6)
	w.register(t, 0.7)
	w.store.meddle = func() {
		w.store.meddle = nil
		if _, err := w.Approve(context.Background(), "walk", 2, registry.Decision{By: "lee"}); err != nil {
			t.Error(err)
		}
	}
	_, err := w.Approve(context.Background(), "walk", 1, registry.Decision{By: "ada"})
	wantError(t, err, "Somebody else decided meanwhile")
	if w.states() != "1 candidate, 2 champion" {
		t.Error(w.states())
	}
}

// TestRunsThatTrainTogetherKeepTheBest: each version is judged by the champion that it would replace.
func TestRunsThatTrainTogetherKeepTheBest(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := newWorld("auc >= champion.auc")
		r := registry.New(&crowded{Store: w.store}, clock.System{})
		var all sync.WaitGroup
		for k := range 16 {
			all.Go(func() {
				v, report := trained(0.5 + float64(k*7%16)/100)
				if _, err := r.Register(context.Background(), w.model, v, report); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if best, err := r.Champion(context.Background(), "walk"); err != nil || best.Hash != "0.65" {
			t.Fatalf("the champion is %+v, %v", best, err)
		}
	}
}

func TestRollbackGoesToOlderChampionsAndNotBack(t *testing.T) {
	t.Parallel()
	ctx, d := context.Background(), registry.Decision{By: "ada", Why: "predicts nonsense"}
	w := newWorld()
	for _, auc := range []float64{0.7, 0.8, 0.9} {
		w.register(t, auc)
	}
	for _, want := range []string{"1 retired, 2 champion, 3 retired", "1 champion, 2 retired, 3 retired"} {
		if _, err := w.Rollback(ctx, "walk", 0, d); err != nil {
			t.Fatal(err)
		}
		if w.states() != want {
			t.Fatal(w.states())
		}
	}
	_, err := w.Rollback(ctx, "walk", 0, d)
	wantError(t, err, "Nothing to roll back to")
	if _, err := w.Reject(ctx, "walk", 3, d); err != nil {
		t.Fatal(err)
	}
	_, err = w.Rollback(ctx, "walk", 3, d)
	wantError(t, err, "is rejected")
	_, err = w.Reject(ctx, "walk", 1, d)
	wantError(t, err, "is champion")
	if got, err := w.Rollback(ctx, "walk", 2, d); err != nil || got.Number != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld()
	w.register(t, 0.9)
	_, err := w.Show(ctx, "wakl", 1)
	wantError(t, err, `named "wakl"`, `Did you mean "walk"?`)
	_, err = w.Show(ctx, "walk", 7)
	wantError(t, err, "no version 7", "newest is 1")
	if all, err := w.List(ctx, ""); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if none, err := newWorld().List(ctx, ""); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}

func TestCompareSetsMetricsSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.register(t, 0.8)
	v, report := trained(0.9)
	v.Spec, v.Features, v.Data = json.RawMessage(`{"random_forest":{"trees":50},"at":{"line":3}}`), []string{"speed"}, "e"
	if _, err := w.Register(context.Background(), w.model, v, report); err != nil {
		t.Fatal(err)
	}
	got, err := w.Compare(context.Background(), "walk", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range got.Metrics {
		lines = append(lines, fmt.Sprintf("%s %g %g", d.Metric, *d.A, *d.B))
	}
	if want := "rows 100 100, positives 0 0, auc 0.8 0.9, log_loss 0.2 0.1"; strings.ReplaceAll(strings.Join(lines, ", "), "0.19999999999999996 0.09999999999999998", "0.2 0.1") != want {
		t.Errorf("metrics %v", lines)
	}
	if got.SameData || !slices.Equal(got.Features, []string{"+speed"}) || !slices.Equal(got.Spec, []string{"random_forest.trees: 20 → 50"}) {
		t.Errorf("%+v", got)
	}
}

func TestAliasesNameVersions(t *testing.T) {
	t.Parallel()
	ctx, d := context.Background(), registry.Decision{By: "ada", Why: "looks better"}
	w := newWorld()
	for _, auc := range []float64{0.7, 0.8, 0.9} {
		w.register(t, auc)
	}
	set := func(alias string, number, before int) {
		t.Helper()
		if got, err := w.SetAlias(ctx, "walk", alias, number, d); err != nil || got != before {
			t.Errorf("%s named %d before: %v", alias, got, err)
		}
	}
	set("challenger", 1, 0)
	set("challenger", 2, 1)
	set("shadow", 2, 0)
	for text, want := range map[string]int{"challenger": 2, "champion": 0, "": 0, "v1": 1, "3": 3} {
		ref, err := model.ParseReference(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Resolve(ctx, "walk", ref); err != nil || got != want {
			t.Errorf("%q is version %d: %v", text, got, err)
		}
		if want == 0 {
			want = 3
		}
		if v, err := w.Scoring(ctx, "walk", ref); err != nil || v.Number != want {
			t.Errorf("%q scores by %v: %v", text, v, err)
		}
	}
	v, err := w.Show(ctx, "walk", 2)
	if err != nil || !slices.Equal(v.Aliases, []string{"challenger", "shadow"}) {
		t.Errorf("version 2 is called %v: %v", v.Aliases, err)
	}
	if before, err := w.RemoveAlias(ctx, "walk", "shadow", d); err != nil || before != 2 {
		t.Errorf("%d, %v", before, err)
	}
	all, err := w.List(ctx, "")
	if err != nil || len(all[0].Aliases)+len(all[2].Aliases) != 0 || !slices.Equal(all[1].Aliases, []string{"challenger"}) {
		t.Errorf("%+v, %v", all, err)
	}
	moves, err := w.Aliases(ctx, "walk", true)
	if err != nil || len(moves) != 4 || moves[3].Number != 0 || moves[1].By != "ada" || moves[1].Why != "looks better" || !moves[1].At.After(moves[0].At) {
		t.Errorf("%+v, %v", moves, err)
	}
	if _, err := w.Reject(ctx, "walk", 1, d); err != nil {
		t.Fatal(err)
	}
	_, err = w.Scoring(ctx, "walk", model.Reference{Number: 1})
	wantError(t, err, "cannot be used to score", "is rejected")
	if v, err := w.Scoring(ctx, "walk", model.Reference{Alias: "shadow"}); v != nil || err != nil {
		t.Errorf("an alias that was taken away scores by %v, %v", v, err)
	}
}

func TestBadAliases(t *testing.T) {
	t.Parallel()
	ctx, d := context.Background(), registry.Decision{By: "ada"}
	w := newWorld()
	w.register(t, 0.9)
	for alias, want := range map[string]string{"champion": "names the state", "rejected": "names the state", "v3": "is a version number", "12": "is a version number", "Blue": "small letters", "a b": "small letters", "": "small letters"} {
		_, err := w.SetAlias(ctx, "walk", alias, 1, d)
		wantError(t, err, want)
	}
	_, err := w.SetAlias(ctx, "walk", "challenger", 7, d)
	wantError(t, err, "no version 7")
	_, err = w.SetAlias(ctx, "wakl", "challenger", 1, d)
	wantError(t, err, `Did you mean "walk"?`)
	_, err = w.SetAlias(ctx, "walk", "challenger", 1, registry.Decision{})
	wantError(t, err, "Nobody decided")
	if _, err := w.SetAlias(ctx, "walk", "challenger", 1, d); err != nil {
		t.Fatal(err)
	}
	_, err = w.Resolve(ctx, "walk", model.Reference{Alias: "chalenger"})
	wantError(t, err, `has no alias "chalenger"`, `Did you mean "challenger"?`)
	_, err = w.RemoveAlias(ctx, "walk", "shadow", d)
	wantError(t, err, `has no alias "shadow"`, "damson model alias set walk shadow VERSION")
	for _, text := range []string{"0", "v0", "99999999999999999999", "A", "retired"} {
		_, err := model.ParseReference(text)
		wantError(t, err, "Unreadable version", "damson model list")
	}
}

// shared are held-out rows of two classes in groups of two; the first ones are predicted wrong.
func shared(wrong int) heldout.Rows {
	r := heldout.Rows{Kind: metric.Binary, Classes: []string{"0", "1"}, All: 40, Outputs: make([][]float64, 1)}
	for i := range 40 {
		target, p := float64(i%2), 0.2+0.6*float64(i%2)
		if i < wrong {
			p = 1 - p
		}
		r.Keys, r.Groups, r.Targets, r.Outputs[0] = append(r.Keys, uint64(i)), append(r.Groups, uint64(i/2)), append(r.Targets, target), append(r.Outputs[0], p)
	}
	return r
}

func TestGatesOnSharedRows(t *testing.T) {
	t.Parallel()
	w := newWorld("paired.accuracy.low >= 0", "paired.log_loss <= 0.1")
	add := func(run string, rows *heldout.Rows) []model.Gate {
		t.Helper()
		v, report := trained(0.9)
		report.Threshold, v.RunID = 0.5, run
		v.Report, _ = json.Marshal(report)
		if rows != nil {
			v.HeldOut = rows.Encode()
		}
		got, err := w.Register(context.Background(), w.model, v, report)
		if err != nil {
			t.Fatal(err)
		}
		return got.Version.Gates
	}
	check := func(g model.Gate, passed bool, detail string) {
		t.Helper()
		if g.Passed != passed || !strings.Contains(g.Detail, detail) {
			t.Errorf("%s: passed %v, %s", g.Expr, g.Passed, g.Detail)
		}
	}
	many, few := shared(12), shared(2)
	check(add("1", &many)[0], true, "there is no champion to compare with")
	better := add("2", &few)
	check(better[0], true, "paired.accuracy.low is 0.05")
	check(better[0], true, "above 0, on 40 rows of 20 groups that both held out")
	worse := add("3", &many)
	check(worse[0], false, "below 0")
	check(worse[1], false, "above 0.1, on 40 rows")
	check(add("4", nil)[0], false, "paired.accuracy.low is not known: the new version keeps no predictions of held-out rows")
	none := shared(0)
	for i := range none.Keys {
		none.Keys[i] += 1000
	}
	check(add("5", &none)[0], false, "the 0 held-out rows of 0 groups that both have do not define it")
	if w.states() != "1 retired, 2 champion, 3 candidate, 4 candidate, 5 candidate" {
		t.Error(w.states())
	}
}

func TestCompareOnTheSameRows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld()
	w.register(t, 0.8)
	add := func(auc float64, rows heldout.Rows) int {
		v, report := trained(auc)
		report.Threshold = 0.5
		v.Report, _ = json.Marshal(report)
		v.HeldOut = rows.Encode()
		got, err := w.Register(ctx, w.model, v, report)
		if err != nil {
			t.Fatal(err)
		}
		return got.Version.Number
	}
	rows := heldout.Rows{Kind: metric.Binary, Classes: []string{"0", "1"}, All: 3, Keys: []uint64{1, 2, 3}, Targets: []float64{0, 1, 1}, Outputs: [][]float64{{0.2, 0.7, 0.1}}}
	a := add(0.9, rows)
	rows.Outputs = [][]float64{{0.6, 0.9, 0.3}}
	b := add(0.91, rows)
	c, err := w.Compare(ctx, "walk", a, b)
	if err != nil || c.Unpaired != "" || c.Paired.Rows != 3 || c.Paired.Agreement.OnlyA != 1 || c.Paired.Agreement.OnlyB != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = w.Compare(ctx, "walk", a, 1); err != nil || c.Paired != nil || c.Unpaired != "version 1 keeps no predictions of held-out rows; older versions did not" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = w.Compare(ctx, "walk", a, a); err != nil || c.Paired != nil || c.Unpaired != "they are one version" {
		t.Errorf("%+v, %v", c, err)
	}
	rows.Classes = []string{"no", "yes"}
	if c, err = w.Compare(ctx, "walk", a, add(0.92, rows)); err != nil || c.Paired != nil || !strings.Contains(c.Unpaired, "different classes") {
		t.Errorf("%+v, %v", c, err)
	}
}
