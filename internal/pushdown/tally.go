package pushdown

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/metric"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse/rows"
)

// Queryer runs a query.
type Queryer interface {
	Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error)
}

// Tally counts values of the source's first rows in the bins and levels of a reference's features, in one statement: counts are all
// that leaves the database, and the names of up to metric.UnseenNamed texts of a feature that the reference does not know. values are
// SQL expressions over the source's columns, one for each feature: double precision or text, NULL when missing.
func Tally(ctx context.Context, q Queryer, kind string, source sqltext.Text, of metric.Reference, values []string, most int) ([]metric.FeatureCounts, error) {
	var numbers, codes, items []string
	words := []string{"(-1, '')"} // VALUES may not be empty
	for f := range of.Features {
		own, name := &of.Features[f], fmt.Sprintf("f%d", f)
		items, numbers = append(items, values[f]+" as "+name), append(numbers, strconv.Itoa(f))
		if !own.Text {
			codes = append(codes, "cast("+tree.BinSQL(name, own.Edges)+" as text)")
			continue
		}
		codes = append(codes, "coalesce('=' || "+name+", '')")
		for _, list := range [][]string{own.Levels, own.Known} {
			for _, word := range list {
				if !strings.ContainsRune(word, 0) {
					words = append(words, fmt.Sprintf("(%d, %s)", f, sqltext.QuoteLiteral("="+word)))
				}
			}
		}
	}
	var b sqltext.Builder
	b.Add(fmt.Sprintf(`select cast(feature as bigint), case when known = 1 or place <= %d then code else '~' end as code, cast(sum(times) as bigint)
from (select feature, code, times, known, row_number() over (partition by feature, known order by times desc, code%s) as place
from (select counted.feature, counted.code, times, case when word is not null or counted.code not like '=%%' then 1 else 0 end as known
from (select feature, code, count(*) as times from (select unnest(array[%s]) as feature, unnest(array[%s]) as code from (select %s from (
`, metric.UnseenNamed, dialectOf(kind).binary, strings.Join(numbers, ", "), strings.Join(codes, ", "), strings.Join(items, ", ")))
	b.Append(source)
	b.Add(fmt.Sprintf(`
) as source limit %d) as few) as each_value group by feature, code) as counted
left join (values %s) as words (of_feature, word) on of_feature = counted.feature and word = counted.code) as told) as ranked group by 1, 2`, most, strings.Join(words, ", ")))
	reader, err := q.Query(ctx, b.Text())
	if err != nil {
		return nil, err
	}
	found, err := rows.ReadAll(reader)
	if err != nil {
		return nil, err
	}
	counts := make([]metric.FeatureCounts, len(of.Features))
	places := make([]map[string]int, len(of.Features))
	for f := range of.Features {
		counts[f], places[f] = of.Features[f].NoCounts()
	}
	for _, row := range found {
		f := row[0].(int64)
		tallied(&of.Features[f], &counts[f], places[f], row[1].(string), row[2].(int64))
	}
	return counts, nil
}

// tallied adds rows that have a code: a bin's number, "=" and a text, "" for a text that is missing, "~" for texts that are not named.
func tallied(of *metric.FeatureReference, n *metric.FeatureCounts, places map[string]int, code string, rows int64) {
	if !of.Text {
		if bin, _ := strconv.Atoi(code); bin > 0 {
			n.Counts[bin-1] = rows
		} else {
			n.Missing = rows
		}
		return
	}
	switch {
	case code == "":
		n.Missing = rows
	case code == "~":
		n.Rest += rows
		if !of.Many {
			n.More = rows
		}
	default:
		n.AddLevel(of, places, code[1:], rows)
	}
}
