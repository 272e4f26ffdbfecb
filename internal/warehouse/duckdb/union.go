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

// longSQL is from how many bytes on planning a statement takes longer than looking for what hides a UNION from it.
const longSQL = 10_000

// hidden asks whether there is a view or a macro with a UNION.
const hidden = `SELECT bool_or(text ILIKE '%union%') FROM (SELECT sql AS text FROM duckdb_views() WHERE NOT internal
UNION ALL SELECT macro_definition FROM duckdb_functions() WHERE NOT internal)`

// mayUnite reports whether a SELECT may have a UNION. It looks at short ones no closer.
func (c *conn) mayUnite(ctx context.Context, sql string) bool {
	if len(sql) < longSQL || strings.Contains(strings.ToLower(sql), "union") {
		return true
	}
	said, err := c.asks(ctx, hidden, 0)
	return err != nil || said == "true"
}

// mayWait looks at the plan of a SELECT. What cannot be explained, as SHOW, has no UNION.
func (c *conn) mayWait(ctx context.Context, sql string) bool {
	if !c.mayUnite(ctx, sql) {
		return false
	}
	text, err := c.asks(ctx, "EXPLAIN (FORMAT json)\n"+sql, 1)
	var plans []operator
	return err == nil && json.Unmarshal([]byte(text), &plans) == nil && slices.ContainsFunc(plans, mayWait)
}

// asks gives a value of the first row as text, "" when there is none.
func (c *conn) asks(ctx context.Context, sql string, column int) (string, error) {
	r, err := c.query(ctx, sql)
	if err != nil {
		return "", err
	}
	defer r.Release()
	if !r.Next() {
		return "", r.Err()
	}
	return rows.Format(r.RecordBatch().Column(column), 0), nil
}

// stored puts the rows of a SELECT into the temporary table, and gives the statement that reads them.
func (c *conn) stored(ctx context.Context, sql string) (bindings.PreparedStatement, error) {
	if _, err := c.exec(ctx, storeRows+sql); err != nil {
		return bindings.PreparedStatement{}, shift(err, len(storeRows))
	}
	return c.prepare(ctx, readRows)
}
