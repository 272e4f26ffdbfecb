package run_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"damson/internal/run"
)

var update = flag.Bool("update", false, "rewrite the golden files and the diagrams in docs/runs.md")

// golden compares text with testdata/name, or writes it there.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-golden +now; -update rewrites it):\n%s", path, diff)
	}
}

// next is run.Next or run.NextRun.
type next func(run.State, run.Event) (run.State, error)

// TestTransitions holds every pair of state and event against a table that was read by a person.
func TestTransitions(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, machine := range []struct {
		name string
		next next
	}{{"task run", run.Next}, {"run", run.NextRun}} {
		fmt.Fprintf(&b, "# %s: state, event -> state\n", machine.name)
		for _, from := range run.States() {
			for _, event := range run.Events() {
				to, err := machine.next(from, event)
				if err != nil {
					to = "-"
				}
				fmt.Fprintf(&b, "%-15s %-15s %s\n", from, event, to)
			}
		}
	}
	golden(t, "transitions.txt", b.String())
}

func TestNextNamesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from  run.State
		event run.Event
		want  string
	}{
		{run.Success, run.EventStarted, "a task run that is success cannot be started"},
		{"sleeping", run.EventStarted, `"sleeping" is not a state of a task run`},
		{run.Queued, "launched", `"launched" is not an event of a task run`},
	} {
		if _, err := run.Next(c.from, c.event); err == nil || err.Error() != c.want {
			t.Errorf("Next(%s, %s): %v, want %q", c.from, c.event, err, c.want)
		}
	}
}

// TestEveryStateCanEnd: from every state that has not ended, events lead to success; an ended state leaves only by a
// person's wish, or because the task is gone.
func TestEveryStateCanEnd(t *testing.T) {
	t.Parallel()
	byHand := []run.Event{run.EventCleared, run.EventMarkedSuccess, run.EventMarkedFailed, run.EventMarkedSkipped, run.EventRemoved}
	reaches := func(from run.State) bool {
		seen := map[run.State]bool{from: true}
		for todo := []run.State{from}; len(todo) > 0; todo = todo[1:] {
			for _, e := range run.Events() {
				if to, err := run.Next(todo[0], e); err == nil && !slices.Contains(byHand, e) && !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
		return seen[run.Success]
	}
	for _, s := range run.States() {
		if !s.Ended() && !reaches(s) {
			t.Errorf("%s never comes to success", s)
		}
		for _, e := range run.Events() {
			if to, err := run.Next(s, e); s.Ended() && err == nil && !slices.Contains(byHand, e) {
				t.Errorf("%s ends, yet %s leads to %s", s, e, to)
			}
		}
	}
}

// TestDiagrams keeps docs/runs.md true to the tables.
func TestDiagrams(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "runs.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, d := range []struct {
		name string
		next next
	}{{"task run", run.Next}, {"run", run.NextRun}} {
		begin, end := "<!-- diagram: "+d.name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(doc, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the diagram %q", path, d.name)
		}
		doc = before + begin + mermaid(d.next) + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(text), doc); diff != "" {
		t.Errorf("%s does not show the tables (-doc +tables; -update rewrites it):\n%s", path, diff)
	}
}

// mermaid draws what happens by itself; what a person does is told in words beside it.
func mermaid(next next) string {
	b := "```mermaid\nstateDiagram-v2\n"
	for _, from := range run.States() {
		to := map[run.State][]string{}
		for _, e := range run.Events() {
			s, err := next(from, e)
			if err == nil && e != run.EventCleared && e != run.EventRemoved && !strings.HasPrefix(string(e), "marked_") {
				to[s] = append(to[s], string(e))
			}
		}
		for _, s := range run.States() {
			if len(to[s]) > 0 {
				b += fmt.Sprintf("    %s --> %s: %s\n", from, s, strings.Join(to[s], ", "))
			}
		}
	}
	return b + "```\n"
}

// TestTriggerRules writes the truth table of each rule for no, one and two tasks before.
func TestTriggerRules(t *testing.T) {
	t.Parallel()
	states := []run.State{run.Running, run.Success, run.Failed, run.UpstreamFailed, run.Skipped, run.Removed}
	for _, rule := range run.TriggerRules() {
		var b strings.Builder
		line := func(upstream ...run.State) {
			d := run.Decide(run.TriggerRule(rule), upstream)
			names := make([]string, len(upstream))
			for i, s := range upstream {
				names[i] = string(s)
			}
			fmt.Fprintf(&b, "%-32s %-16s %s\n", "["+strings.Join(names, " ")+"]", d.Verdict, d.Reason)
		}
		line()
		for i, s := range states {
			line(s)
			for _, u := range states[i:] {
				line(s, u)
			}
		}
		golden(t, "rule_"+rule+".txt", b.String())
	}
}

// TestVerdictsAreFinal: a verdict that is not to wait stays, however the tasks that have not ended end, and their order
// does not matter.
func TestVerdictsAreFinal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := run.TriggerRule(rapid.SampledFrom(run.TriggerRules()).Draw(t, "rule"))
		ends := rapid.SliceOfN(rapid.SampledFrom([]run.State{run.Success, run.Failed, run.UpstreamFailed, run.Skipped}), 1, 6).Draw(t, "ends")
		order := rapid.Permutation(ends).Draw(t, "order")
		final := run.Decide(rule, ends).Verdict
		if final == run.VerdictWait {
			t.Fatalf("%s waits although all have ended: %v", rule, ends)
		}
		for n := range order {
			seen := slices.Clone(order)
			for k := n; k < len(seen); k++ {
				seen[k] = run.Running
			}
			if v := run.Decide(rule, seen).Verdict; v != run.VerdictWait && v != final {
				t.Fatalf("%s says %s over %v, and %s over %v", rule, v, seen, final, ends)
			}
		}
	})
}

func TestCanRun(t *testing.T) {
	t.Parallel()
	for prev, want := range map[run.State]run.Verdict{
		"": run.VerdictRun, run.Scheduled: run.VerdictWait, run.Queued: run.VerdictWait, run.Running: run.VerdictWait,
		run.UpForRetry: run.VerdictWait, run.Deferred: run.VerdictWait, run.Success: run.VerdictRun, run.Failed: run.VerdictUpstreamFailed,
		run.UpstreamFailed: run.VerdictUpstreamFailed, run.Skipped: run.VerdictRun, run.Removed: run.VerdictRun,
	} {
		if got := run.CanRun(true, prev); got.Verdict != want {
			t.Errorf("after %q: %s, want %s", prev, got.Verdict, want)
		}
		if got := run.CanRun(false, prev); got.Verdict != run.VerdictRun {
			t.Errorf("without depends_on_past, after %q: %s", prev, got.Verdict)
		}
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	berlin, havana := zone("Europe/Berlin"), zone("America/Havana")
	for want, start := range map[string]time.Time{
		"geolife@2007-04-12":                time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC),
		"geolife@2007-04-12T05:00:00":       time.Date(2007, 4, 12, 5, 0, 0, 0, time.UTC),
		"geolife@2007-04-12T05:00:00.25":    time.Date(2007, 4, 12, 5, 0, 0, 250e6, time.UTC),
		"geolife@2007-04-13":                time.Date(2007, 4, 13, 0, 0, 0, 0, berlin),
		"geolife@2007-10-28T02:00:00+02:00": time.Date(2007, 10, 28, 0, 0, 0, 0, time.UTC).In(berlin),
		"geolife@2007-10-28T02:00:00+01:00": time.Date(2007, 10, 28, 1, 0, 0, 0, time.UTC).In(berlin),
		"geolife@2024-11-03":                time.Date(2024, 11, 3, 4, 0, 0, 0, time.UTC).In(havana), // midnight comes twice
		"geolife@2024-11-03T00:00:00-05:00": time.Date(2024, 11, 3, 5, 0, 0, 0, time.UTC).In(havana),
		"geolife_model_training@2008-02-29": time.Date(2008, 2, 29, 0, 0, 0, 0, time.UTC),
	} {
		if name, _, _ := strings.Cut(want, "@"); run.NewID(name, start) != want {
			t.Errorf("%v: %s, want %s", start, run.NewID(name, start), want)
		}
	}
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	p := run.RetryPolicy{Delay: 30 * time.Second, Backoff: 2, Max: 5 * time.Minute}
	for failures, nominal := range map[int]time.Duration{1: 30 * time.Second, 2: time.Minute, 3: 2 * time.Minute} {
		low, high := nominal*8/10, nominal*12/10
		if d := run.RetryDelay(p, failures, 7); d < low || d > high {
			t.Errorf("after %d failures: %s, want %s to %s", failures, d, low, high)
		}
	}
	for _, failures := range []int{5, 50, 5000} {
		if d := run.RetryDelay(p, failures, 7); d != p.Max {
			t.Errorf("after %d failures: %s, want the bound %s", failures, d, p.Max)
		}
	}
	p.Max = 0
	if d := run.RetryDelay(p, 5000, 7); d != 24*time.Hour {
		t.Errorf("without a bound: %s, want a day", d)
	}
	first, again, other := run.RetryDelay(p, 1, 7), run.RetryDelay(p, 1, 7), run.RetryDelay(p, 1, 8)
	if first != again || first == other {
		t.Error("the spread should follow from the seed")
	}
	if d := run.RetryDelay(run.RetryPolicy{}, 3, 7); d != 0 {
		t.Errorf("no delay: %s", d)
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		leaves []run.State
		want   run.State
	}{
		{nil, run.Success},
		{[]run.State{run.Success, run.Skipped, run.Removed}, run.Success},
		{[]run.State{run.Success, run.Failed}, run.Failed},
		{[]run.State{run.UpstreamFailed, run.Skipped}, run.Failed},
	} {
		if got := run.Outcome(c.leaves); got != c.want {
			t.Errorf("%v: %s, want %s", c.leaves, got, c.want)
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	g := run.Graph{Tasks: []string{"fetch", "labels", "clean", "features", "predict"}, Upstream: map[string][]string{
		"clean": {"fetch"}, "features": {"clean", "labels"}, "predict": {"features"}}}
	for _, c := range []struct {
		chosen   []string
		up, down bool
		want     string
	}{
		{nil, false, false, "fetch labels clean features predict"},
		{[]string{"clean"}, false, false, "clean"},
		{[]string{"clean"}, true, false, "fetch clean"},
		{[]string{"clean"}, false, true, "clean features predict"},
		{[]string{"predict", "labels"}, true, true, "fetch labels clean features predict"},
		{[]string{"labels"}, true, true, "labels features predict"},
	} {
		if got := strings.Join(g.Scope(c.chosen, c.up, c.down), " "); got != c.want {
			t.Errorf("%v up %t down %t: %s, want %s", c.chosen, c.up, c.down, got, c.want)
		}
	}
}
