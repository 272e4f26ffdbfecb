package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// All SQL here is for Greenplum 6 (which stands on PostgreSQL 9.4), Greenplum 7 (12) and their kin. It differs in one thing: where the
// catalog says how a table is stored.

// oldStorage and newStorage give h for a heap table, a for an append-optimised one in rows, c for one in columns.
const (
	oldStorage = `CAST(c.relstorage AS text)`
	newStorage = `coalesce((SELECT CASE m.amname WHEN 'ao_row' THEN 'a' WHEN 'ao_column' THEN 'c' WHEN 'heap' THEN 'h' END
		FROM pg_catalog.pg_am AS m WHERE m.oid = c.relam), '')`
)

// storageSQL gives each table and each partition: how the table's rows are spread, how the partition is stored, its size in bytes
// over all segments, its OID.
const storageSQL = `WITH RECURSIVE w(schema, name) AS ($tables), tree AS (
	SELECT w.schema, w.name, c.oid AS root, c.oid FROM w JOIN pg_catalog.pg_namespace AS n ON n.nspname = coalesce(nullif(w.schema, ''), current_schema())
	JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
	UNION ALL
	SELECT t.schema, t.name, t.root, i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.oid)
SELECT t.schema, t.name, coalesce(pg_catalog.pg_get_table_distributedby(t.root), ''), $storage,
	CASE c.relkind WHEN 'p' THEN 0 ELSE coalesce(pg_relation_size(c.oid), 0) END, CAST(CAST(c.oid AS text) AS bigint)
FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid ORDER BY 1, 2, 6`

// spreadSQL gives how many bytes each segment has of each table, from the segments' own catalogs: pg_relation_size looks at its own
// segment there. Counting rows would read the tables.
const spreadSQL = `SELECT CAST(g.oid AS bigint), CAST(g.segment AS bigint), CAST(g.bytes AS bigint)
FROM (SELECT CAST(CAST(c.oid AS text) AS bigint) AS oid, c.gp_segment_id AS segment, pg_relation_size(c.oid) AS bytes
	FROM gp_dist_random('pg_class') AS c WHERE c.oid IN ($oids)) AS g ORDER BY 1, 2`

// segmentSQL gives the processes of the cluster; content -1 is the coordinator.
const segmentSQL = `SELECT CAST(content AS bigint), CAST(role AS text), CAST(preferred_role AS text), CAST(mode AS text), CAST(status AS text),
	CAST(hostname AS text) || ':' || CAST(port AS text) FROM pg_catalog.gp_segment_configuration ORDER BY content, dbid`

// greenplumWaitSQL gives what waitSQL does. There is no pg_blocking_pids on Greenplum 6: whoever holds a lock of the same table counts.
const greenplumWaitSQL = `SELECT w.pid, coalesce(CAST(w.usename AS text), ''), coalesce(w.application_name, ''), coalesce(w.state, ''),
	coalesce(CAST(extract(epoch FROM clock_timestamp() - w.query_start) AS double precision), 0), coalesce(w.query, ''),
	h.pid, coalesce(CAST(h.usename AS text), ''), coalesce(h.application_name, ''), coalesce(h.state, ''),
	coalesce(CAST(extract(epoch FROM clock_timestamp() - h.xact_start) AS double precision), 0), coalesce(h.query, ''),
	CAST(CAST(l.relation AS regclass) AS text)
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_locks AS g ON g.locktype = l.locktype AND g.database = l.database AND g.relation = l.relation AND g.granted AND g.pid <> l.pid
JOIN pg_catalog.pg_stat_activity AS w ON w.pid = l.pid
JOIN pg_catalog.pg_stat_activity AS h ON h.pid = g.pid
WHERE NOT l.granted AND l.locktype = 'relation' AND l.gp_segment_id = -1 AND g.gp_segment_id = -1 AND w.datname = current_database()
ORDER BY w.query_start, w.pid, h.pid LIMIT 20`

// storage is how Greenplum stores a table and its partitions.
type storage struct {
	Table
	distribution string // DISTRIBUTED BY (k)
	bytes, heap  int64  // heap is what of them is in heap tables
	segments     map[int64]int64
}

const (
	// worthColumns is from which size on a heap table should be in columns. 10 million rows took 650 MB as heap and 73 MB in columns.
	worthColumns = 256 << 20
	// worthSpread is from which size on an uneven spread is worth a word: below it, a block more or less decides.
	worthSpread = 64 << 20
	// mostSkew is how much more than the average the fullest segment may have.
	mostSkew = 1.5
)

// askStorage asks how the project's tables are stored and spread.
func askStorage(ctx context.Context, q Query, s server, tables []Table) ([]storage, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	kind := newStorage
	if !s.atLeast(12) {
		kind = oldStorage
	}
	all, err := q.all(ctx, strings.NewReplacer("$tables", tableValues(tables), "$storage", kind).Replace(storageSQL))
	if err != nil {
		return nil, err
	}
	var list []storage
	owner := map[int64]int{}
	for _, r := range all {
		t := r.table(0)
		if n := len(list); n == 0 || list[n-1].Table != t {
			list = append(list, storage{Table: t, distribution: r.text(2), segments: map[int64]int64{}})
		}
		one := &list[len(list)-1]
		one.bytes += r.whole(4)
		if r.text(3) == "h" {
			one.heap += r.whole(4)
		}
		owner[r.whole(5)] = len(list) - 1
	}
	var oids []string
	for oid, i := range owner {
		if list[i].bytes >= worthSpread {
			oids = append(oids, number(oid))
		}
	}
	if len(oids) == 0 {
		return list, nil
	}
	slices.Sort(oids)
	all, err = q.all(ctx, strings.Replace(spreadSQL, "$oids", strings.Join(oids, ", "), 1))
	for _, r := range all {
		list[owner[r.whole(0)]].segments[r.whole(1)] += r.whole(2)
	}
	return list, err
}

func judgeStorage(n Needs, tables []storage) []Check {
	var checks []Check
	for _, t := range tables {
		w := n.Writes[t.Table]
		if 2*t.heap > t.bytes && t.heap >= worthColumns {
			checks = append(checks, Check{Status: Warning, At: w.At, What: fmt.Sprintf("%s is a heap table of %s", t.Table, bytes(t.bytes)),
				Why: "Whole rows are read where columns would do, and nothing is compressed. Large tables take a fraction of the room and time in columns.",
				Fix: fmt.Sprintf("CREATE TABLE %s (LIKE %s) WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1) %s; fill it and rename. %s",
					Table{t.Schema, t.Name + "_columns"}, t.Table, t.distribution, formatAdvice(w))})
		}
		if c, uneven := judgeSpread(t, w); uneven {
			checks = append(checks, c)
		}
	}
	if len(checks) > 0 {
		return checks
	}
	return ok("%s looked at", plural(len(tables), "table"))
}

// formatAdvice says why the next table that Damson makes would be a heap again.
func formatAdvice(w Writer) string {
	if w.Target.Storage.Format == "heap" {
		return "The task says storage = \"heap\": change it."
	}
	return "Tables that Damson makes are in columns unless the task says otherwise."
}

// judgeSpread judges how evenly the segments hold a table.
func judgeSpread(t storage, w Writer) (c Check, uneven bool) {
	var total, largest, fullest int64
	for segment, size := range t.segments {
		total += size
		if size > largest || size == largest && segment < fullest {
			largest, fullest = size, segment
		}
	}
	n := len(t.segments)
	if n < 2 || total < worthSpread || float64(largest)*float64(n) <= mostSkew*float64(total) {
		return c, false
	}
	by := t.distribution
	if by == "" {
		by = "spread by its first column"
	}
	return Check{Status: Warning, At: w.At, What: fmt.Sprintf("%s is spread unevenly", t.Table),
		Why: fmt.Sprintf("Segment %d of %d has %.0f %% of its %s (%s). Every query over it waits for that segment.", fullest, n,
			100*float64(largest)/float64(total), bytes(total), by),
		Fix: fmt.Sprintf("Spread it by a column of many values that are about equally frequent: ALTER TABLE %s SET DISTRIBUTED BY (…); and say so in the task: distributed_by = [\"…\"].", t.Table)}, true
}

// segment is one process of the cluster.
type segment struct {
	content                       int64
	role, preferred, mode, status string
	place                         string
}

func askSegments(ctx context.Context, q Query) ([]segment, error) {
	all, err := q.all(ctx, segmentSQL)
	list := make([]segment, len(all))
	for i, r := range all {
		list[i] = segment{r.whole(0), r.text(1), r.text(2), r.text(3), r.text(4), r.text(5)}
	}
	return list, err
}

func judgeSegments(all []segment) []Check {
	var down, moved, behind []string
	primaries, mirrors := 0, 0
	for _, s := range all {
		name := fmt.Sprintf("segment %d at %s", s.content, s.place)
		if s.content < 0 {
			name = "the coordinator's at " + s.place
		}
		switch {
		case s.content >= 0 && s.role == "p":
			primaries++
		case s.content >= 0:
			mirrors++
		}
		switch {
		case s.status != "u":
			down = append(down, name)
		case s.role != s.preferred:
			moved = append(moved, name)
		case s.role == "m" && s.mode != "s":
			behind = append(behind, name)
		}
	}
	var checks []Check
	if len(down) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(down), "mirror") + " down", Why: "If its partner fails too, the cluster stops: " + list(down) + ".",
			Fix: "As the cluster's administrator: gprecoverseg, and gpstate -e to see how it goes."})
	}
	if len(moved) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(moved), "segment") + " not in the usual role",
			Why: "Some hosts do more work than others since a failure: " + list(moved) + ".", Fix: "As the cluster's administrator: gprecoverseg -r."})
	}
	if len(behind) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(behind), "mirror") + " not in step", Why: "They cannot take over yet: " + list(behind) + ".",
			Fix: "Wait until they have caught up (gpstate -e); else gprecoverseg."})
	}
	switch {
	case len(checks) > 0:
		return checks
	case mirrors == 0:
		return ok("%s, without mirrors", plural(primaries, "segment"))
	}
	return ok("%s, all mirrored and in step", plural(primaries, "segment"))
}
