package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// bigTable is from which size on a table's statistics are worth a word: a bad plan over less costs little.
const bigTable = 8 << 20

// statistics are what the database knows of a table and its partitions.
type statistics struct {
	Table
	bytes      int64
	unknown    int64   // bytes of them without statistics
	rows       float64 // as it estimates
	live, dead int64   // rows; PostgreSQL only
	modified   int64   // rows since the last ANALYZE, when that is an hour ago: changes are counted late, also those from before it
}

// statisticsSQL sums over a table and its partitions, at whatever level. reltuples is -1 (before PostgreSQL 14: 0) as long as nobody
// has run ANALYZE.
const statisticsSQL = `WITH RECURSIVE w(schema, name) AS ($tables), tree AS (
	SELECT w.schema, w.name, c.oid FROM w JOIN pg_catalog.pg_namespace AS n ON n.nspname = coalesce(nullif(w.schema, ''), current_schema())
	JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'm')
	UNION ALL
	SELECT t.schema, t.name, i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.oid)
SELECT s.schema, s.name, CAST(sum(s.bytes) AS bigint), CAST(sum(CASE WHEN s.reltuples <= 0 THEN s.bytes ELSE 0 END) AS bigint),
	CAST(sum(greatest(s.reltuples, 0)) AS double precision), CAST(sum(s.live) AS bigint), CAST(sum(s.dead) AS bigint), CAST(sum(s.modified) AS bigint)
FROM (SELECT t.schema, t.name, CASE c.relkind WHEN 'p' THEN 0 ELSE coalesce(pg_relation_size(c.oid), 0) END AS bytes, c.reltuples,
		coalesce(a.n_live_tup, 0) AS live, coalesce(a.n_dead_tup, 0) AS dead,
		CASE WHEN greatest(a.last_analyze, a.last_autoanalyze) > clock_timestamp() - interval '1 hour' THEN 0 ELSE coalesce(a.n_mod_since_analyze, 0) END AS modified
	FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid LEFT JOIN pg_catalog.pg_stat_all_tables AS a ON a.relid = t.oid) AS s
GROUP BY s.schema, s.name ORDER BY 1, 2`

// askStatistics asks about tables; those that are not there are left out.
func askStatistics(ctx context.Context, q Query, tables []Table) ([]statistics, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	all, err := q.all(ctx, strings.Replace(statisticsSQL, "$tables", tableValues(tables), 1))
	list := make([]statistics, len(all))
	for i, r := range all {
		list[i] = statistics{r.table(0), r.whole(2), r.whole(3), r.real(4), r.whole(5), r.whole(6), r.whole(7)}
	}
	return list, err
}

// Shares of a table's rows from which its statistics or its dead rows are worth a word.
const (
	muchModified = 0.5
	muchDead     = 1.0
)

func judgeStatistics(s server, kind string, tables []statistics) []Check {
	var unknown, old, dead []string
	for _, t := range tables {
		name := t.String()
		switch {
		case t.bytes < bigTable:
		case 2*t.unknown > t.bytes:
			unknown = append(unknown, fmt.Sprintf("%s (%s)", name, bytes(t.bytes)))
		case float64(t.modified) > muchModified*max(t.rows, 1):
			old = append(old, name)
		}
		if t.bytes >= bigTable && float64(t.dead) > muchDead*float64(t.live) {
			dead = append(dead, name)
		}
	}
	var checks []Check
	if kind == "postgres" && !s.autovacuum {
		checks = append(checks, Check{Status: Warning, What: "autovacuum is off", Why: "Nothing gathers statistics or frees the room of deleted rows by itself.",
			Fix: "On the server: autovacuum = on."})
	}
	if len(unknown) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(unknown), "large table") + " without statistics",
			Why: "The database plans without knowing their rows: " + list(unknown) + ".", Fix: analyze(unknown)})
	}
	if len(old) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(old), "large table") + " with old statistics",
			Why: "More than half of their rows have changed since, and nobody has come for an hour: " + list(old) + ".", Fix: analyze(old)})
	}
	if len(dead) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(dead), "large table") + " with more dead rows than living",
			Why: "Autovacuum does not keep up, or an old transaction keeps the rows: " + list(dead) + ".",
			Fix: "See that no transaction is open for long, then: VACUUM " + strings.Join(dead[:min(len(dead), most)], "; VACUUM ") + ";"})
	}
	if len(checks) > 0 {
		return checks
	}
	return ok("%s looked at", plural(len(tables), "table"))
}

// analyze is what gathers the statistics of tables, which may have their size behind them.
func analyze(names []string) string {
	var all []string
	for _, n := range names[:min(len(names), most)] {
		name, _, _ := strings.Cut(n, " (")
		all = append(all, "ANALYZE "+name+";")
	}
	return strings.Join(all, " ")
}

// part is how a table is cut, and how the next interval fits in.
type part struct {
	NativeTable
	there  bool
	layout *driver.Layout // nil: it is not cut
	fit    warehouse.Fit
	err    error // why the interval has no part
}

// askParts looks at the tables that tasks want cut.
func askParts(ctx context.Context, physical driver.Physical, d driver.Warehouse, tables []NativeTable) ([]part, error) {
	var parts []part
	for _, t := range tables {
		name := driver.Name{Schema: t.Schema, Table: t.Name}
		columns, err := d.Table(ctx, d, name)
		if err != nil {
			return nil, err
		}
		p := part{NativeTable: t, there: columns != nil}
		if p.there {
			if p.layout, err = physical.Layout(ctx, d, name); err != nil {
				return nil, err
			}
		}
		if p.layout != nil {
			p.fit, p.err = warehouse.FitInterval(p.layout, t.Size, t.Interval)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func judgeParts(parts []part) []Check {
	var checks []Check
	made := 0
	for _, p := range parts {
		c := Check{Status: Warning, At: p.At}
		days := p.Interval.Start.Format("2006-01-02")
		switch {
		case !p.there:
			made++
			continue
		case p.layout == nil:
			c.What = fmt.Sprintf("%s has no partitions that can be exchanged", p.Table)
			c.Why = fmt.Sprintf("Task %s declares native partitions, and the table is not cut, or by more than one date or timestamp. Its rows are replaced by deleting and inserting.", p.Task)
			c.Fix = "Rename the table, let the next run make it anew, and fill it with a backfill; or remove native from the task."
		case !strings.EqualFold(p.layout.Column, p.Column):
			c.What = fmt.Sprintf("%s is cut by %s, not by %s", p.Table, p.layout.Column, p.Column)
			c.Why = fmt.Sprintf("Task %s replaces rows by %s, so no partition can be exchanged.", p.Task, p.Column)
			c.Fix = fmt.Sprintf("Write partition_by = %q, or rename the table and let the next run make it anew.", p.layout.Column)
		case p.err != nil:
			c.What, c.Why, c.Fix = fmt.Sprintf("%s has no partition for the next interval", p.Table), p.err.Error()+".", "Correct the pipeline's schedule or partition_by."
		case len(p.fit.Odd) > 0:
			var odd []string
			for _, o := range p.fit.Odd {
				odd = append(odd, fmt.Sprintf("%s (%s)", o.Table, bounds(o)))
			}
			c.What = fmt.Sprintf("%s has partitions that overlap the next interval's", p.Table)
			c.Why = fmt.Sprintf("Rows of %s belong to %s, with those of other intervals, so they are deleted and inserted instead of exchanged.", days, list(odd))
			c.Fix = fmt.Sprintf("Cut it into partitions of a %s, or declare the size that it has (native).", p.Size)
		case p.fit.Default != "":
			c.What = fmt.Sprintf("rows of the next interval go to the default partition of %s", p.Table)
			c.Why = fmt.Sprintf("There is no partition for %s, and none is made while %s takes the rows. They are deleted and inserted instead of exchanged.", days, p.fit.Default)
			c.Fix = fmt.Sprintf("Move its rows to partitions of a %s and drop or detach %s.", p.Size, p.fit.Default)
		default:
			continue
		}
		checks = append(checks, c)
	}
	switch {
	case len(checks) > 0:
		return checks
	case len(parts) == 0:
		return ok("no task declares native ones")
	}
	return ok("%s ready for the next interval, %d of them made by the first run", plural(len(parts), "table"), made)
}

// bounds writes a partition's bounds for people.
func bounds(p driver.Part) string {
	from, to := p.From, p.To
	if from == "" {
		from = "the beginning"
	}
	if to == "" {
		return "from " + from + " on"
	}
	return from + " to before " + to
}

// writtenTables lists the tables of tasks, without Damson's own.
func (n Needs) writtenTables() []Table {
	return slices.DeleteFunc(sortedTables(n.Writes), func(t Table) bool { return n.Writes[t].Task == "" })
}
