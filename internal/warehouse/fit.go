package warehouse

import (
	"slices"
	"time"

	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// Fit tells how Into would bring the rows of a data interval into a table that the database itself cuts into partitions.
type Fit struct {
	Exchanged bool          // one partition takes exactly these rows: it is filled aside and exchanged
	Missing   []driver.Part // partitions that are made first
	Odd       []driver.Part // partitions that hold the rows together with others, and are not of the declared size
	Default   string        // the table of the default partition when that takes the rows
}

// FitInterval tells how the rows of an interval fit into a table that is cut as l says and whose task declares partitions of a
// size. The error says why the interval has no part in such a table.
func FitInterval(l *driver.Layout, size pipeline.Native, interval Interval) (Fit, error) {
	p, err := newPartition(driver.Column{Name: l.Column, Type: l.Type}, interval)
	if err != nil {
		return Fit{}, err
	}
	n := &native{layout: l, size: size}
	whole, ok := n.whole(p.start, p.end)
	if ok && whole.Table.Table != "" {
		return Fit{Exchanged: true}, nil
	}
	if ok {
		return Fit{Exchanged: true, Missing: []driver.Part{whole}}, nil
	}
	fit := Fit{Missing: n.missing(p.start, p.end)}
	covered := n.odd(p.start, p.end, &fit)
	if l.Default != "" && !covered {
		fit.Default = l.Default
	}
	return fit, nil
}

// odd adds the partitions that share the rows of [from, to) and are not of the declared size, and reports whether those that are
// there hold all of these rows.
func (n *native) odd(from, to time.Time, fit *Fit) (covered bool) {
	covered = true
	for at := floor(n.size, from); at.Before(to); at = next(n.size, at) {
		declared := driver.Part{From: n.instant(at), To: n.instant(next(n.size, at))}
		found := false
		for _, p := range n.layout.Parts {
			if !overlaps(p, declared) {
				continue
			}
			found = true
			if (p.From != declared.From || p.To != declared.To) && !slices.Contains(fit.Odd, p) {
				fit.Odd = append(fit.Odd, p)
			}
		}
		covered = covered && found
	}
	return covered
}
