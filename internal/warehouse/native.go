package warehouse

import (
	"context"
	"slices"
	"strings"
	"time"

	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// physical gives the driver's side of how tables are stored, nil when its database gives no choice.
func (w *Warehouse) physical() driver.Physical {
	p, _ := w.driver.(driver.Physical)
	return p
}

// native is how an Into works on a table that the database itself cuts into partitions.
//
// When exactly one partition holds the interval's rows and no others, a table beside it is filled, which nobody sees and no lock
// guards, and takes its place at the end. While somebody uses the table that would wait, and all that comes after it with it;
// then the filled table's rows replace the others as in a table without partitions.
type native struct {
	physical driver.Physical
	layout   *driver.Layout
	size     pipeline.Native
}

// newNative looks at how the target's table is cut; nil when it is not, or not by the partition's column.
func (in *into) newNative(ctx context.Context) (*native, error) {
	p := in.tx.w.physical()
	if p == nil || in.part == nil {
		return nil, nil
	}
	layout, err := p.Layout(ctx, in.tx.tx, in.name)
	if err != nil {
		return nil, in.own(err)
	}
	if layout == nil || !strings.EqualFold(layout.Column, in.part.column.Name) {
		return nil, nil
	}
	return &native{physical: p, layout: layout, size: in.target.Storage.Native}, nil
}

// instant is a date or timestamp as parts have their bounds.
func (n *native) instant(t time.Time) string {
	if n.layout.Type == driver.Date {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.DateTime)
}

// whole gives the part that is exactly [from, to): one that is there, or a new one. It is false when other parts share the
// interval's rows, or a part of the declared size would hold more than them.
func (n *native) whole(from, to time.Time) (driver.Part, bool) {
	part := driver.Part{From: n.instant(from), To: n.instant(to)}
	for _, p := range n.layout.Parts {
		if p.From == part.From && p.To == part.To {
			return p, true
		}
		if overlaps(p, part) {
			return driver.Part{}, false
		}
	}
	if at := floor(n.size, from); !at.Equal(from) || !next(n.size, at).Equal(to) || n.layout.Default != "" {
		return driver.Part{}, false
	}
	return part, true
}

// missing lists the parts that [from, to) needs and that are not there, of the declared size.
func (n *native) missing(from, to time.Time) (missing []driver.Part) {
	if n.layout.Default != "" {
		return nil // it takes the rows
	}
	for at := floor(n.size, from); at.Before(to); at = next(n.size, at) {
		part := driver.Part{From: n.instant(at), To: n.instant(next(n.size, at))}
		if !slices.ContainsFunc(n.layout.Parts, func(p driver.Part) bool { return overlaps(p, part) }) {
			missing = append(missing, part)
		}
	}
	return missing
}

// overlaps compares texts: both write their moments alike.
func overlaps(a, b driver.Part) bool {
	return (a.To == "" || b.From < a.To) && (b.To == "" || a.From < b.To)
}

// firstPart is the partition that a table is made with by a database that cannot have one without.
func firstPart(size pipeline.Native, column driver.Column, from time.Time) driver.Part {
	n := native{layout: &driver.Layout{Type: column.Type}}
	at := floor(size, from)
	return driver.Part{From: n.instant(at), To: n.instant(next(size, at))}
}

// floor gives the beginning of the partition that a moment belongs to, and next that of the one after it. A table that is cut
// already and whose task does not say how is continued by days.
func floor(size pipeline.Native, t time.Time) time.Time {
	if size == pipeline.NativeMonth {
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return day(t)
}

func next(size pipeline.Native, at time.Time) time.Time {
	if size == pipeline.NativeMonth {
		return at.AddDate(0, 1, 0)
	}
	return at.AddDate(0, 0, 1)
}

// write replaces the interval's rows.
func (n *native) write(ctx context.Context, in *into) error {
	part, ok := n.whole(in.part.start, in.part.end)
	if !ok {
		for _, p := range n.missing(in.part.start, in.part.end) {
			in.tx.change()
			if err := n.physical.AddPart(ctx, in.tx.tx, in.name, n.layout, p); err != nil {
				return in.own(madeMeanwhile(err, func() bool { return in.cutNow(ctx, p) }))
			}
		}
		return in.replace(ctx)
	}
	in.tx.change()
	staged, err := n.physical.Stage(ctx, in.tx.tx, in.name, n.layout, part, in.target.Storage)
	if err != nil {
		return in.own(err)
	}
	if err := in.insert(ctx, staged); err != nil {
		return err
	}
	if part.Table.Table != "" {
		count, _, err := in.ask(ctx, in.tx.tx, "SELECT count(*), '' FROM "+quoted(part.Table))
		if err != nil {
			return err
		}
		in.written.Replaced = count
	}
	exchanged, err := n.physical.Exchange(ctx, in.tx.tx, in.name, n.layout, part, staged)
	if err != nil || exchanged {
		return in.own(err)
	}
	return in.replaceFrom(ctx, n, part, staged)
}

// cutNow reports whether the table has a part by now, past the transaction, which sees an older state.
func (in *into) cutNow(ctx context.Context, part driver.Part) bool {
	layout, err := in.tx.w.physical().Layout(ctx, in.tx.w.driver, in.name)
	return err == nil && layout != nil && slices.ContainsFunc(layout.Parts, func(p driver.Part) bool { return overlaps(p, part) })
}

// replaceFrom replaces a partition's rows by those of the staged table, while others read the partition.
func (in *into) replaceFrom(ctx context.Context, n *native, part driver.Part, staged driver.Name) error {
	if part.Table.Table == "" {
		if err := n.physical.AddPart(ctx, in.tx.tx, in.name, n.layout, part); err != nil {
			return in.own(madeMeanwhile(err, func() bool { return in.cutNow(ctx, part) }))
		}
	}
	list := in.columnList()
	for _, sql := range []string{
		"DELETE FROM " + quoted(in.name) + " WHERE " + in.insideTable(),
		"INSERT INTO " + quoted(in.name) + " (" + list + ") SELECT " + list + " FROM " + quoted(staged),
		"DROP TABLE " + quoted(staged),
	} {
		if _, err := in.tx.tx.Exec(ctx, sql); err != nil {
			return in.own(err)
		}
	}
	return nil
}
