package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// Query runs one statement and streams its rows.
type Query func(ctx context.Context, sql string) (array.RecordReader, error)

// row is one row of an answer. A NULL is the zero value of what is asked for.
type row []any

func (r row) text(i int) string  { s, _ := r[i].(string); return s }
func (r row) whole(i int) int64  { n, _ := r[i].(int64); return n }
func (r row) real(i int) float64 { f, _ := r[i].(float64); return f }
func (r row) truth(i int) bool   { b, _ := r[i].(bool); return b }
func (r row) table(i int) Table  { return Table{r.text(i), r.text(i + 1)} }
func (q Query) one(ctx context.Context, sql string) (row, error) {
	all, err := q.all(ctx, sql)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("the warehouse gave %d rows instead of one", len(all))
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (q Query) all(ctx context.Context, sql string) ([]row, error) {
	r, err := q(ctx, sql)
	if err != nil {
		return nil, err
	}
	values, err := rows.ReadAll(r)
	all := make([]row, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all, err
}

// values gives a list of texts, or of several in each row, as the rows of VALUES.
func values(list ...[]string) string {
	all := make([]string, len(list))
	for i, one := range list {
		quoted := make([]string, len(one))
		for j, text := range one {
			quoted[j] = "CAST(" + sqltext.QuoteLiteral(text) + " AS text)"
		}
		all[i] = "(" + strings.Join(quoted, ", ") + ")"
	}
	return "VALUES " + strings.Join(all, ", ")
}

// valuesOf gives names as the rows of VALUES.
func valuesOf(names []string) string {
	list := make([][]string, len(names))
	for i, n := range names {
		list[i] = []string{n}
	}
	return values(list...)
}

// tableValues gives tables as the rows of VALUES: schema, name.
func tableValues(tables []Table) string {
	list := make([][]string, len(tables))
	for i, t := range tables {
		list[i] = []string{t.Schema, t.Name}
	}
	return values(list...)
}

// most bounds how many names stand in one sentence.
const most = 5

// list names things in a sentence: "a, b and c", "a, b, c, d, e and 7 more".
func list(names []string) string {
	n := len(names)
	switch {
	case n == 0:
		return "none"
	case n == 1:
		return names[0]
	case n <= most:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
}

// plural gives "1 table" or "3 tables".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// bytes writes a size for people: "65 MB".
func bytes(n int64) string {
	size, unit := float64(n), "bytes"
	for _, next := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if size < 1000 {
			break
		}
		size, unit = size/1000, next
	}
	if size < 10 && unit != "bytes" {
		return fmt.Sprintf("%.1f %s", size, unit)
	}
	return fmt.Sprintf("%.0f %s", size, unit)
}

// ident quotes a name for SQL where it needs that.
func ident(name string) string {
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return sqltext.QuoteIdent(name)
		}
	}
	return name
}
