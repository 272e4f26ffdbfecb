package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/model"
	"damson/internal/store"
)

func checkFinding(t *testing.T, err error, summary string) {
	t.Helper()
	var f diag.Finding
	if !errors.As(err, &f) || !strings.Contains(f.Summary, summary) {
		t.Errorf("the error is %v, want a finding about %q", err, summary)
	}
}

func addVersion(t *testing.T, s *store.Store, name string, created time.Time) model.Version {
	t.Helper()
	v, added, err := s.AddVersion(t.Context(), model.Version{
		Model: name, Number: 99, State: model.Candidate, Created: created, RunID: "r", Why: "monthly", Algorithm: "random_forest",
		Spec: json.RawMessage(`{"trees":20}`), Features: []string{"p50", "p90"}, Rows: 1234, Data: "d", SQL: "s", Hash: "h",
		Report: json.RawMessage(`{"auc":0.97}`), Gates: []model.Gate{{Expr: "auc >= 0.85", Passed: true, Detail: "0.97"}},
		Artifact: []byte{0, 1, 255}, HeldOut: []byte{3, 0, 255},
	}, 0)
	if err != nil || !added {
		t.Fatalf("added: %v, %v", added, err)
	}
	return v
}

func testVersions(t *testing.T, open Open) {
	s := start(t, open)
	one := addVersion(t, s, "walk", clock)
	two := addVersion(t, s, "walk", clock.Add(time.Hour))
	other := addVersion(t, s, "other", clock.Add(time.Minute))
	if one.Number != 1 || two.Number != 2 || other.Number != 1 {
		t.Errorf("numbers are %d, %d and %d, want 1, 2 and 1", one.Number, two.Number, other.Number)
	}
	got, err := s.Version(t.Context(), "walk", 1)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := s.HeldOut(t.Context(), "walk", 1); err != nil || !bytes.Equal(rows, one.HeldOut) {
		t.Errorf("held-out rows %v, %v", rows, err)
	}
	if rows, err := s.HeldOut(t.Context(), "walk", 9); err != nil || rows != nil {
		t.Errorf("held-out rows of no version: %v, %v", rows, err)
	}
	one.HeldOut, two.HeldOut, other.HeldOut = nil, nil, nil
	equal(t, "version", got, &one)
	for name, want := range map[string][]model.Version{"walk": {two, one}, "": {two, other, one}, "none": nil} {
		for i := range want {
			want[i].Artifact = nil
		}
		got, err := s.Versions(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "versions of "+name, got, want)
	}
	for _, number := range []int{0, 3} {
		if v, err := s.Version(t.Context(), "walk", number); v != nil || err != nil {
			t.Errorf("version %d is %v, %v, want none", number, v, err)
		}
	}
}

func testChampion(t *testing.T, open Open) {
	s := start(t, open)
	for range 3 {
		addVersion(t, s, "walk", clock)
	}
	addVersion(t, s, "other", clock)
	set := func(name string, number int, to model.State, champion int, want bool) {
		t.Helper()
		moved, err := s.MoveVersion(t.Context(), model.Move{Model: name, Number: number, From: model.Candidate, To: to, Champion: champion, By: "lee",
			Why: "gates passed", At: clock})
		if err != nil || moved != want {
			t.Fatalf("version %d of %s moved: %v, %v", number, name, moved, err)
		}
	}
	set("other", 1, model.Champion, 0, true)
	set("walk", 1, model.Champion, 3, false) // there is no champion yet
	set("walk", 1, model.Champion, 0, true)
	set("walk", 2, model.Champion, 0, false) // there is one now
	set("walk", 2, model.Champion, 1, true)
	set("walk", 2, model.Rejected, 0, false) // it is no candidate any more
	set("walk", 3, model.Rejected, 0, true)
	champion, err := s.Version(t.Context(), "walk", 0)
	if err != nil || champion == nil {
		t.Fatalf("the champion is %v, %v", champion, err)
	}
	if champion.Number != 2 || champion.DecidedBy != "lee" || champion.DecidedWhy != "gates passed" || !champion.DecidedTime.Equal(clock) {
		t.Errorf("the champion is %+v", champion)
	}
	versions, err := s.Versions(t.Context(), "walk")
	if err != nil {
		t.Fatal(err)
	}
	states := map[int]model.State{}
	for _, v := range versions {
		states[v.Number] = v.State
	}
	equal(t, "states", states, map[int]model.State{1: model.Retired, 2: model.Champion, 3: model.Rejected})
	if v, err := s.Version(t.Context(), "other", 0); err != nil || v == nil {
		t.Errorf("the other model's champion is %v, %v", v, err)
	}
	_, err = s.MoveVersion(t.Context(), model.Move{Model: "walk", Number: 9, To: model.Champion, Champion: 2, By: "lee", At: clock})
	checkFinding(t, err, "Unknown model version")
	if v, err := s.Version(t.Context(), "walk", 0); err != nil || v == nil || v.Number != 2 {
		t.Errorf("a refused decision has changed the champion to %v, %v", v, err)
	}
	for _, c := range []struct {
		compared int
		added    bool
	}{{1, false}, {2, true}} {
		v, added, err := s.AddVersion(t.Context(), model.Version{Model: "walk", State: model.Champion, Created: clock}, c.compared)
		if err != nil || added != c.added || added && v.Number != 4 {
			t.Errorf("compared with version %d, version %d was added: %v, %v", c.compared, v.Number, added, err)
		}
	}
	if v, err := s.Version(t.Context(), "walk", 0); err != nil || v == nil || v.Number != 4 {
		t.Errorf("the champion is %v, %v", v, err)
	}
	if v, err := s.Version(t.Context(), "walk", 2); err != nil || v.State != model.Retired {
		t.Errorf("the champion before is %v, %v", v, err)
	}
}
