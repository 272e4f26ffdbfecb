package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"damson/internal/model"
	"damson/internal/store"
)

// alias moves an alias and wants it to have named a version before.
func alias(t *testing.T, s *store.Store, name string, number, before int) {
	t.Helper()
	got, err := s.MoveAlias(t.Context(), model.Alias{Model: "walk", Name: name, Number: number, By: "lee", Why: "to see", At: clock.Add(time.Duration(number) * time.Minute)})
	if err != nil || got != before {
		t.Fatalf("%s named version %d before, want %d: %v", name, got, before, err)
	}
}

func testAliases(t *testing.T, open Open) {
	s := start(t, open)
	for range 3 {
		addVersion(t, s, "walk", clock)
	}
	addVersion(t, s, "other", clock)
	alias(t, s, "challenger", 1, 0)
	alias(t, s, "challenger", 2, 1)
	alias(t, s, "shadow", 2, 0)
	alias(t, s, "shadow", 2, 2) // nothing changes
	alias(t, s, "old", 1, 0)
	alias(t, s, "old", 0, 1)
	if _, err := s.MoveAlias(t.Context(), model.Alias{Model: "other", Name: "shadow", Number: 1, By: "ada", At: clock}); err != nil {
		t.Fatal(err)
	}
	all, err := s.AliasMoves(t.Context(), "")
	if err != nil || len(all) != 6 {
		t.Fatalf("%d moves: %v, %v", len(all), all, err)
	}
	own, err := s.AliasMoves(t.Context(), "walk")
	if err != nil || len(own) != 5 {
		t.Fatalf("%d moves of walk: %v, %v", len(own), own, err)
	}
	equal(t, "first move", own[0], model.Alias{Model: "walk", Name: "challenger", Number: 1, By: "lee", Why: "to see", At: clock.Add(time.Minute)})
	var standing []string
	for _, a := range model.Standing(all) {
		standing = append(standing, fmt.Sprintf("%s %s %d", a.Model, a.Name, a.Number))
	}
	equal(t, "aliases", standing, []string{"other shadow 1", "walk challenger 2", "walk shadow 2"})

	refuse := func(name string, number int, summary string) {
		t.Helper()
		_, err := s.MoveAlias(t.Context(), model.Alias{Model: "walk", Name: name, Number: number, By: "lee", At: clock})
		checkFinding(t, err, summary)
	}
	reject := func(number int) error {
		_, err := s.MoveVersion(t.Context(), model.Move{Model: "walk", Number: number, From: model.Candidate, To: model.Rejected, By: "lee", At: clock})
		return err
	}
	refuse("challenger", 9, "Unknown model version")
	refuse("old", 0, "No such alias")
	refuse("never", 0, "No such alias")
	checkFinding(t, reject(2), "Version has an alias")
	if err := reject(1); err != nil { // which had one before
		t.Error(err)
	}
	refuse("challenger", 1, "Version is rejected")
	if after, err := s.AliasMoves(t.Context(), "walk"); err != nil || len(after) != 5 {
		t.Errorf("what was refused has moved an alias: %v, %v", after, err)
	}
}

// testAliasesOfMany has two processes move an alias: each move says truly which one it follows.
func testAliasesOfMany(t *testing.T, open Open) {
	a, b := start(t, open), start(t, open)
	for range 8 {
		addVersion(t, a, "walk", clock)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	followed := map[int]int{}
	for number := 1; number <= 8; number++ {
		all.Go(func() {
			s := []*store.Store{a, b}[number%2]
			before, err := s.MoveAlias(t.Context(), model.Alias{Model: "walk", Name: "challenger", Number: number, By: "lee", At: clock})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			followed[number] = before
		})
	}
	all.Wait()
	moves, err := b.AliasMoves(t.Context(), "walk")
	if err != nil || len(moves) != 8 {
		t.Fatalf("%d moves, %v", len(moves), err)
	}
	before := 0
	for _, m := range moves {
		if followed[m.Number] != before {
			t.Errorf("version %d was named after %d, and was told %d", m.Number, before, followed[m.Number])
		}
		before = m.Number
	}
}
