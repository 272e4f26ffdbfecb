package warehouse

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// catalog remembers the columns of tables and of SELECTs that Into has asked for, because a daily task asks the same each
// day. It serves databases that only this process can change.
//
// Invariants:
//  1. While a transaction that may have changed the catalog is open, nothing is remembered and nothing recalled.
//  2. A transaction recalls and remembers only when no such transaction has ended since before it began: what is remembered
//     is then what its own snapshot shows.
type catalog struct {
	mu         sync.Mutex
	off        bool // another process may change the database
	changing   int  // open transactions that may have changed the catalog
	generation int  // ended transactions that may have changed it
	columns    map[string][]driver.Column
}

// maxRemembered bounds the memory; beyond it the catalog begins anew.
const maxRemembered = 5000

// now gives the generation that a transaction begun after this call belongs to.
func (c *catalog) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

func (c *catalog) recall(generation int, key string) []driver.Column {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changing > 0 || generation != c.generation {
		return nil
	}
	return c.columns[key]
}

func (c *catalog) remember(generation int, key string, columns []driver.Column) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || c.changing > 0 || generation != c.generation || columns == nil {
		return
	}
	if c.columns == nil || len(c.columns) >= maxRemembered {
		c.columns = map[string][]driver.Column{}
	}
	c.columns[key] = slices.Clone(columns)
}

// change opens a change of the catalog, before its first statement; the function it gives ends it.
func (c *catalog) change() (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changing++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changing--
		c.generation++
		c.columns = nil
	})
}

// rowWords open the statements that change rows at most, never the columns of a table.
var rowWords = map[string]bool{
	"select": true, "with": true, "values": true, "from": true, "table": true, "(": true, "insert": true, "update": true,
	"delete": true, "merge": true, "explain": true, "describe": true, "show": true, "summarize": true,
}

// changesCatalog reports whether a statement may change the columns that a name stands for.
func changesCatalog(sql string) bool {
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if tok.Significant() {
			return !rowWords[strings.ToLower(sql[tok.From:tok.To])]
		}
	}
	return false
}

// moment is a date or time as templates write it; neither decides the columns of a SELECT.
var moment = regexp.MustCompile(`^'(\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?|\d{8})'$`)

// dateInName finds a column that is named after a date, as one without AS can be.
var dateInName = regexp.MustCompile(`\d{4}-\d\d-\d\d|\d{8}`)

// fromData finds what takes its columns from data or files, which change without the catalog: PIVOT, functions that read
// files or run a text as SQL, and files named where a table could stand.
var fromData = regexp.MustCompile(`(?i)^(pivot|pivot_wider|glob|query|query_table|getvariable|read_\w+|\w+_scan|'[^']*\.(csv|tsv|txt|json|jsonl|ndjson|parquet)(\.\w+)?')$`)

// shape gives the SELECT without its dates and times: the SELECTs that one template renders for its days have one shape, and
// so the same columns. There is none when the columns hang on more than the catalog.
func shape(sql string) (key string, ok bool) {
	var b strings.Builder
	b.Grow(len(sql))
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		text := sql[tok.From:tok.To]
		switch {
		case tok.Kind == sqltext.String && moment.MatchString(text):
			text = "?"
		case tok.Significant() && fromData.MatchString(text):
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

// describeAgain is Describe for a SELECT that comes again with other dates.
func (tx *Tx) describeAgain(sql string, ask func() ([]driver.Column, error)) ([]driver.Column, error) {
	key, ok := shape(sql)
	if !ok {
		return ask()
	}
	columns, err := tx.recall("select "+key, ask)
	for _, c := range columns {
		if dateInName.MatchString(c.Name) {
			return ask() // today's name is not yesterday's
		}
	}
	return columns, err
}

// recall gives the columns remembered under a key, or else asks and remembers them.
func (tx *Tx) recall(key string, ask func() ([]driver.Column, error)) ([]driver.Column, error) {
	if tx.changed != nil {
		return ask()
	}
	if columns := tx.w.catalog.recall(tx.generation, key); columns != nil {
		return columns, nil
	}
	columns, err := ask()
	if err == nil {
		tx.w.catalog.remember(tx.generation, key, columns)
	}
	return columns, err
}

// change tells the catalog that this transaction is about to change it.
func (tx *Tx) change() {
	if tx.changed == nil {
		tx.changed = tx.w.catalog.change()
	}
}
