package forest

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"

	"damson/internal/tree"
)

// grownByLevels grows a forest by Levels from counts of rows in memory.
func grownByLevels(t *testing.T, d tree.Data, p Params, constant []bool, most int) *tree.Model {
	t.Helper()
	weights, err := tree.ClassWeights(p.ClassWeights, d.Classes)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bin(context.Background(), d.WithRows(), p, weights, 1)
	if err != nil {
		t.Fatal(err)
	}
	of := Summary{Bins: b.bins, Classes: d.Classes, Constant: constant}
	if m, ok := b.measure.(numberMeasure); ok {
		of.Scale, of.Mean = m.scale, m.mean
	}
	l, err := NewLevels(of, p)
	if err != nil {
		t.Fatal(err)
	}
	each := func(tree int, visit func(row, class int, times uint64, sum int64)) {
		g := newGrower(context.Background(), b, p, tree)
		for i, r := range g.rows {
			class, sum := 0, int64(0)
			times := uint64(g.marks[i] >> 7)
			if g.class != nil {
				class = int(g.class[r])
			} else {
				sum = int64(times) * g.number[r]
			}
			visit(int(r), class, times, sum)
		}
	}
	for i := range b.keys {
		if b.class != nil {
			l.AddAll(int(b.class[i]), 1, 0)
		} else {
			l.AddAll(0, 1, b.number[i])
		}
	}
	for i := range p.Trees {
		each(i, func(_, class int, times uint64, sum int64) { l.AddRoot(i, class, times, sum) })
	}
	for asks := l.Next(most); len(asks) > 0; asks = l.Next(most) {
		of := map[[2]int][]int{} // by tree and node
		for at, ask := range asks {
			of[[2]int{ask.Tree, ask.Node}] = append(of[[2]int{ask.Tree, ask.Node}], at)
		}
		for i := range p.Trees {
			route := l.Route(i)
			if !slices.ContainsFunc(asks, func(ask Ask) bool { return ask.Tree == i }) {
				continue
			}
			each(i, func(row, class int, times uint64, sum int64) {
				for _, at := range of[[2]int{i, nodeOf(route, b.columns, row)}] {
					if err := l.Add(at, int(b.columns[asks[at].Feature][row]), class, times, sum); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
	return l.Model()
}

// nodeOf gives the node asked about that a row belongs to, -1 for none.
func nodeOf(b *Branch, columns [][]uint8, row int) int {
	for b != nil && b.Node < 0 {
		if b.Split.Left()[columns[b.Split.Feature][row]] == 1 {
			b = b.Left
		} else {
			b = b.Right
		}
	}
	if b == nil {
		return -1
	}
	return b.Node
}

func TestLevelsGrowTheSameForest(t *testing.T) {
	t.Parallel()
	few := talk
	few.Trees, few.MaxDepth = 3, 6
	for name, test := range map[string]struct {
		d      tree.Data
		change func(*Params)
	}{
		"two classes":  {sampleData(300, 8, 3), func(*Params) {}},
		"all features": {sampleData(300, 8, 3), func(p *Params) { p.FeaturesPerSplit = 8 }},
		"one tree":     {sampleData(300, 8, 3), func(p *Params) { *p = DecisionTree(*p); p.Alpha, p.MinGain = 0.004, 0.001 }},
		"four classes": {classData(300, 8, 4, 5), func(p *Params) { p.FeaturesPerSplit = 0; p.ClassWeights = []float64{1, 2.5, 1, 0.3} }},
		"numbers":      {numberData(300, 8, 4), func(p *Params) { p.MinLeaf = 4 }},
		"few rows":     {sampleData(3, 3, 9), func(p *Params) { p.Trees = 30 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := few
			test.change(&p)
			constant := make([]bool, len(test.d.Columns))
			if len(constant) > 6 {
				constant[5] = true
				for i := range test.d.Columns[5] {
					test.d.Columns[5][i] = math.NaN()
				}
			}
			want := mustTrain(t, test.d, p, 1)
			for _, most := range []int{5, 1000} {
				if got := grownByLevels(t, test.d, p, nil, most); !bytes.Equal(got.Encode(), want.Encode()) {
					t.Errorf("%d asks at a time give another forest", most)
				}
			}
			if got := grownByLevels(t, test.d, p, constant, 1000); !bytes.Equal(got.Encode(), want.Encode()) {
				t.Error("knowing a constant feature gives another forest")
			}
		})
	}
}
