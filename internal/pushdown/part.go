package pushdown

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"damson/internal/sqltext"
	"damson/internal/tree"
)

// Part says which rows are learned from, and which are predicted by what was learned.
type Part struct {
	*Rows
	name             string // in which the names of its tables end
	from             string // FROM item of rows
	learned, watched string // conditions on them
	training         int64  // rows to learn from
	once             bool   // it has one lesson
	packed           *packed
}

// packed is the table that a part's histograms are counted on.
type packed struct {
	bins  *tree.Bins
	asked int     // how many bins were asked for
	scale float64 // of numbers, as forest.Summary has it
	mean  int64
}

// Split is the part that the held-out rows judge. Sides comes first.
func (r *Rows) Split() *Part {
	return &Part{Rows: r, from: rowsTable, learned: "not (" + r.held + ")", watched: r.held, training: r.training, once: true}
}

// By is what rows are dealt out to folds by.
type By int

// Rows one by one, by the split's groups, or by those of the cross-validation.
const (
	ByRow By = iota
	ByGroup
	ByFoldGroup
)

// Deal says how rows are dealt out.
type Deal struct {
	By       By
	K        int
	Training bool      // those of the training side alone
	Once     bool      // a part has one lesson, and keeps nothing of it
	Draw     tree.Draw // of single rows
	Codes    []int32   // by row that is dealt out: the place of its group among Names
	Folds    []int     // by row that is dealt out
	Names    []string  // of groups
}

// groups gives each group that has rows its fold.
func (d Deal) groups() map[string]int {
	fold := map[string]int{}
	for i, code := range d.Codes {
		fold[d.Names[code]] = d.Folds[i]
	}
	return fold
}

// Folds are rows dealt out, as package fold deals them.
type Folds struct {
	rows  *Rows
	deal  Deal
	parts map[int]*Part
}

// dealtAtOnce is how many groups one statement tells the folds of.
const dealtAtOnce = 5000

// Deal makes a table of groups, or of rows, and their folds. Rows have one such table at a time.
func (r *Rows) Deal(ctx context.Context, d Deal) (*Folds, error) {
	f := &Folds{r, d, map[int]*Part{}}
	if d.By == ByRow {
		_, err := r.exec(ctx, fmt.Sprintf("create temporary table %s as select id as name, cast((row_number() over (order by number, hi, lo, id) - 1) %% %d as integer) as fold from (select id, hi, lo, %s as number from %s where %s) as drawn",
			foldsTable, d.K, d.Draw.SQL("hi", "lo"), rowsTable, f.among()))
		return f, err
	}
	if _, err := r.exec(ctx, "create temporary table "+foldsTable+" (name text, fold integer)"); err != nil {
		return nil, err
	}
	folds := d.groups()
	for names := range slices.Chunk(slices.Sorted(maps.Keys(folds)), dealtAtOnce) {
		values := make([]string, len(names))
		for i, name := range names {
			values[i] = fmt.Sprintf("(%s, %d)", sqltext.QuoteLiteral(name), folds[name])
		}
		if _, err := r.exec(ctx, "insert into "+foldsTable+" values "+strings.Join(values, ", ")); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// among is the condition of the rows that are dealt out.
func (f *Folds) among() string {
	if f.deal.Training {
		return "not (" + f.rows.held + ")"
	}
	return "true"
}

// Part gives the part that a fold judges; training is how many rows are not in it. It is the same one each time, with what it has
// kept of its last lesson.
func (f *Folds) Part(fold int, training int64) *Part {
	if p := f.parts[fold]; p != nil {
		return p
	}
	name := map[By]string{ByRow: "id", ByGroup: "grp", ByFoldGroup: f.rows.foldGroup()}[f.deal.By]
	f.parts[fold] = &Part{Rows: f.rows, name: fmt.Sprintf("_%d", fold),
		from:    fmt.Sprintf("(select own.*, dealt.fold from %s as own join %s as dealt on dealt.name = own.%s where %s)", rowsTable, foldsTable, name, f.among()),
		learned: fmt.Sprintf("fold <> %d", fold), watched: fmt.Sprintf("fold = %d", fold), training: training, once: f.deal.Once}
	return f.parts[fold]
}

// Drop removes the folds and what their parts keep.
func (f *Folds) Drop(ctx context.Context) error {
	for _, p := range f.parts {
		if err := p.drop(ctx); err != nil {
			return err
		}
	}
	_, err := f.rows.exec(ctx, "drop table "+foldsTable)
	return err
}

// drop removes what the part keeps for its next lesson.
func (p *Part) drop(ctx context.Context) error {
	if p.packed == nil {
		return nil
	}
	p.packed = nil
	_, err := p.exec(ctx, "drop table "+p.binsTable())
	return err
}

func (p *Part) binsTable() string { return binsTable + p.name }
