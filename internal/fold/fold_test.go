package fold_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"damson/internal/fold"
	"damson/internal/tree"
)

// rowsOf gives groups of so many rows each, row by row in turns.
func rowsOf(sizes ...int) (g fold.Groups) {
	for code, size := range sizes {
		g.Names = append(g.Names, fmt.Sprint("group ", code))
		for range size {
			g.Codes = append(g.Codes, int32(code))
			g.Keys = append(g.Keys, tree.KeyOf(fmt.Sprint("row ", len(g.Keys))))
		}
	}
	return g
}

func TestGroupsStayTogetherAndFoldsAreEven(t *testing.T) {
	t.Parallel()
	g := rowsOf(50, 20, 30, 0, 10, 40, 50)
	dealt, groups := g.Deal(4, tree.NewDraw(7, 1))
	if groups != 6 || len(dealt) != 200 {
		t.Fatalf("%d groups, %d rows", groups, len(dealt))
	}
	size, of := make([]int, 4), map[int32]int{}
	for i, own := range dealt {
		size[own]++
		if first, ok := of[g.Codes[i]]; ok && first != own {
			t.Errorf("group %d is in folds %d and %d", g.Codes[i], first, own)
		}
		of[g.Codes[i]] = own
	}
	slices.Sort(size)
	if want := []int{50, 50, 50, 50}; !slices.Equal(size, want) {
		t.Errorf("folds of %v rows", size)
	}
}

func TestTheOrderOfRowsPlaysNoPart(t *testing.T) {
	t.Parallel()
	g := rowsOf(3, 3, 3, 3, 3, 3)
	draw := tree.NewDraw(7, 1)
	want, _ := g.Deal(3, draw)
	turned := fold.Groups{Names: g.Names, Codes: slices.Clone(g.Codes)}
	slices.Reverse(turned.Codes)
	got, _ := turned.Deal(3, draw)
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		t.Errorf("%v, and in another order %v", want, got)
	}
	if other, _ := g.Deal(3, tree.NewDraw(8, 1)); slices.Equal(other, want) {
		t.Error("another seed deals the same")
	}

	rows := fold.Groups{Keys: g.Keys}
	byKey, groups := rows.Deal(3, draw)
	if groups != 18 {
		t.Errorf("%d rows are %d groups", len(g.Keys), groups)
	}
	slices.Reverse(rows.Keys)
	if got, _ := rows.Deal(3, draw); !slices.Equal(reversed(got), byKey) {
		t.Errorf("%v, and in another order %v", byKey, reversed(got))
	}
}

func reversed(list []int) []int {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func TestTooFewGroups(t *testing.T) {
	t.Parallel()
	if dealt, groups := rowsOf(5, 0, 5).Deal(3, tree.NewDraw(7, 1)); dealt != nil || groups != 2 {
		t.Errorf("two groups are dealt to three folds: %v, %d", dealt, groups)
	}
}

func TestPart(t *testing.T) {
	t.Parallel()
	train, test := fold.Part([]int32{4, 7, 9}, []int{1, 0, 1}, 1)
	if !slices.Equal(train, []int32{7}) || !slices.Equal(test, []int32{4, 9}) {
		t.Errorf("%v, %v", train, test)
	}
}

// TestRowsOfOneHashAreDealtAsTheyCome has so many rows that some have the same hash: a database deals them out by hash, then key.
func TestRowsOfOneHashAreDealtAsTheyCome(t *testing.T) {
	t.Parallel()
	draw := tree.NewDraw(7, 1)
	keys, order := make([]tree.Key, 200_000), make([]int, 200_000)
	for i := range keys {
		keys[i], order[i] = tree.KeyOf(fmt.Sprint("row ", i)), i
	}
	dealt, _ := fold.Groups{Keys: keys}.Deal(3, draw)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(draw.Number(keys[a]), draw.Number(keys[b])) })
	twins := 0
	for place, i := range order {
		if place > 0 && draw.Number(keys[i]) == draw.Number(keys[order[place-1]]) {
			twins++
		}
		if dealt[i] != place%3 {
			t.Fatalf("row %d, number %d of the hashes, is in fold %d", i, place, dealt[i])
		}
	}
	if twins == 0 {
		t.Error("no two rows have one hash")
	}
}
