package pushdown

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"damson/internal/leak"
)

// Bounds of looking for pairs of features.
const (
	pairVisits = 10_000_000 // pairs of values in the sample
	leastRows  = 30         // of the sample, however many pairs there are
	pairsAtOne = 400        // that one statement looks at in all rows
)

// pair is two features of which the second may say the same as the first.
type pair struct{ first, second int }

// twins finds features that equal an earlier one, or are perfectly correlated with one.
func (r *Rows) twins(ctx context.Context, looked []looked) ([]leak.Twin, error) {
	open, err := r.suspects(ctx, looked)
	if err != nil {
		return nil, err
	}
	found := map[int]leak.Twin{}
	for len(open) > 0 {
		var numbers, texts []pair
		for _, second := range slices.Sorted(maps.Keys(open)) {
			p := pair{open[second][0], second}
			if looked[second].text {
				texts = append(texts, p)
			} else {
				numbers = append(numbers, p)
			}
			if open[second] = open[second][1:]; len(open[second]) == 0 {
				delete(open, second)
			}
		}
		same := func(p pair, correlation float64) {
			found[p.second] = leak.Twin{Feature: looked[p.second].Name, Other: looked[p.first].Name, Correlation: correlation}
			delete(open, p.second)
		}
		for some := range slices.Chunk(numbers, pairsAtOne) {
			if err := r.compareNumbers(ctx, some, same); err != nil {
				return nil, err
			}
		}
		for _, p := range texts {
			if err := r.compareTexts(ctx, p, looked, same); err != nil {
				return nil, err
			}
		}
	}
	var out []leak.Twin
	for _, second := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[second])
	}
	return out, nil
}

// suspects gives, for each feature that may say the same as earlier ones, those, rising.
func (r *Rows) suspects(ctx context.Context, looked []looked) (map[int][]int, error) {
	open := map[int][]int{}
	prints := map[string][]int{}
	var numbers []int
	for f, own := range looked {
		if own.Constant {
			continue
		}
		open[f] = append(open[f], prints[own.print]...)
		prints[own.print] = append(prints[own.print], f)
		if !own.text {
			numbers = append(numbers, f)
		}
	}
	correlated, err := r.correlated(ctx, numbers)
	for _, p := range correlated {
		open[p.second] = append(open[p.second], p.first)
	}
	for f := range open {
		slices.Sort(open[f])
		if open[f] = slices.Compact(open[f]); len(open[f]) == 0 {
			delete(open, f)
		}
	}
	return open, err
}

// correlated finds pairs that are highly correlated in a part of the sample. Of more features the part has fewer rows.
func (r *Rows) correlated(ctx context.Context, numbers []int) ([]pair, error) {
	if len(numbers) < 2 {
		return nil, nil
	}
	rows := min(leak.PairRows, max(leastRows, 2*pairVisits/(len(numbers)*len(numbers))))
	var parts []string
	for _, f := range numbers {
		parts = append(parts, fmt.Sprintf("select place, %d as feature, f%d as value from part where abs(f%d) <= float8 '%g'", f, f, f, leak.LargestNumber))
	}
	_, err := r.exec(ctx, fmt.Sprintf("create temporary table %s as with part as (select *, row_number() over (order by hi, lo, id) as place from %s order by hi, lo, id limit %d)\n%s",
		longTable, sampleTable, rows, strings.Join(parts, "\nunion all ")))
	if err != nil {
		return nil, err
	}
	counts := map[int]float64{}
	err = r.each(ctx, "select cast(feature as bigint), count(*) from "+longTable+" group by feature", func(row []int64) error {
		counts[int(row[0])] = float64(row[1])
		return nil
	})
	if err != nil {
		return nil, err
	}
	found, err := r.all(ctx, fmt.Sprintf("select cast(a.feature as bigint), cast(b.feature as bigint), corr(a.value, b.value), count(*) from %s as a join %s as b on a.place = b.place and a.feature < b.feature group by a.feature, b.feature having abs(corr(a.value, b.value)) > %v",
		longTable, longTable, leak.LeastAlike))
	if err != nil {
		return nil, err
	}
	var pairs []pair
	for _, row := range found {
		p := pair{int(row[0].(int64)), int(row[1].(int64))}
		// Values that only one of both has count as the mean.
		if math.Abs(row[2].(float64))*float64(row[3].(int64))/math.Sqrt(counts[p.first]*counts[p.second]) > leak.LeastAlike {
			pairs = append(pairs, p)
		}
	}
	_, err = r.exec(ctx, "drop table "+longTable)
	return pairs, err
}

// compareNumbers looks at pairs in all rows.
func (r *Rows) compareNumbers(ctx context.Context, pairs []pair, same func(p pair, correlation float64)) error {
	var items []string
	for _, p := range pairs {
		a, b := fmt.Sprintf("f%d", p.first), fmt.Sprintf("f%d", p.second)
		items = append(items, fmt.Sprintf("count(case when %s is distinct from %s then 1 end), %s", a, b, correlation(a, b)))
	}
	found, err := r.all(ctx, "select "+strings.Join(items, ", ")+" from "+rowsTable)
	if err != nil {
		return err
	}
	for i, p := range pairs {
		correlation, ok := found[0][2*i+1].(float64)
		switch {
		case found[0][2*i].(int64) == 0:
			same(p, 0)
		case ok && math.Abs(correlation) >= leak.MostCorrelation:
			same(p, min(max(correlation, -1), 1))
		}
	}
	return nil
}

// compareTexts tells whether two features of texts part the rows alike, whatever the texts are.
func (r *Rows) compareTexts(ctx context.Context, p pair, looked []looked, same func(p pair, correlation float64)) error {
	return r.each(ctx, fmt.Sprintf("select count(*), cast(sum(one_missing) as bigint) from (select case when (f%[1]d is null) <> (f%[2]d is null) then 1 else 0 end as one_missing from %[3]s group by f%[1]d, f%[2]d) as pairs",
		p.first, p.second, rowsTable), func(row []int64) error {
		if row[0] == looked[p.first].kinds && row[0] == looked[p.second].kinds && row[1] == 0 {
			same(p, 0)
		}
		return nil
	})
}
