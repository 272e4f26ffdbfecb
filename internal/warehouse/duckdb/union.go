//go:build duckdb_arrow

package duckdb

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/warehouse/rows"
)

// DuckDB 1.5 gives out a stream once its result has a megabyte waiting and all else of the plan is done. Where parts of a UNION ALL
// feed the result, one may fill it before the other has, say, joined: each then waits for ever, and no interrupt is
// heard (duckdb/duckdb#22215). Rows of such a plan are put into a temporary table, which spills to disk, and streamed from there.
const (
	storedTable = "damson_rows"
	storeRows   = "CREATE OR REPLACE TEMPORARY TABLE " + storedTable + " AS\n"
	readRows    = "FROM " + storedTable
)

// operator is one of a plan, as EXPLAIN (FORMAT json) writes it.
type operator struct {
	Name     string     `json:"name"`
	Children []operator `json:"children"`
}

// passing are the operators that hand on each row as it comes, and gathering those that give none before they have all.
var (
	passing   = []string{"UNION", "PROJECTION", "FILTER"}
	gathering = []string{"UNGROUPED_AGGREGATE", "HASH_GROUP_BY", "PERFECT_HASH_GROUP_BY", "ORDER_BY", "TOP_N", "WINDOW"}
)

// catalog begins the names of the operators that read the catalog, where the temporary table would be seen. What they give is short.
const catalog = "DUCKDB_"

// mayWait reports whether streaming the plan may wait for ever: there is a UNION whose rows come into the result as they are made, and
// something that does not hand on rows at once.
func mayWait(plan operator) bool {
	union, waits, reads := false, false, false
	var look func(o operator, feeds bool)
	look = func(o operator, feeds bool) {
		union = union || feeds && o.Name == "UNION"
		waits = waits || len(o.Children) > 0 && !slices.Contains(passing, o.Name)
		reads = reads || strings.HasPrefix(o.Name, catalog)
		feeds = feeds && !slices.Contains(gathering, o.Name)
		for _, child := range o.Children {
			look(child, feeds)
		}
	}
	look(plan, true)
	return union && waits && !reads
}

// mayWait looks at the plan of a SELECT. What cannot be explained, as SHOW, has no UNION.
func (c *conn) mayWait(ctx context.Context, sql string) bool {
	r, err := c.query(ctx, "EXPLAIN (FORMAT json)\n"+sql)
	if err != nil {
		return false
	}
	defer r.Release()
	if !r.Next() {
		return false
	}
	var plans []operator
	text := rows.Format(r.RecordBatch().Column(1), 0)
	return json.Unmarshal([]byte(text), &plans) == nil && slices.ContainsFunc(plans, mayWait)
}

// stored puts the rows of a SELECT into the temporary table, and gives the statement that reads them.
func (c *conn) stored(ctx context.Context, sql string) (bindings.PreparedStatement, error) {
	if _, err := c.exec(ctx, storeRows+sql); err != nil {
		return bindings.PreparedStatement{}, shift(err, len(storeRows))
	}
	return c.prepare(ctx, readRows)
}
