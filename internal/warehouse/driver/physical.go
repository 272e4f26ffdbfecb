package driver

import (
	"context"

	"damson/internal/pipeline"
)

// Physical is a driver of a database that lets its users say how a table is stored, cuts tables into partitions of its own, and
// has to be told when to look at a table anew for its statistics. All methods take a Querier to work in its transaction.
type Physical interface {
	// CreateTable gives the statements that make a table of these column definitions, cut by the column partitionBy when
	// s.Native says so; it has no partition yet, unless the database cannot have such a table and first is the one it gets.
	CreateTable(table Name, definitions, partitionBy string, s pipeline.Storage, first Part) []string
	// Layout tells how a table is cut into partitions, nil when it is not, or by more than one column or level.
	Layout(ctx context.Context, q Querier, table Name) (*Layout, error)
	// AddPart makes an empty partition. Readers and writers of the table go on meanwhile where the database can.
	AddPart(ctx context.Context, q Querier, table Name, l *Layout, p Part) error
	// Stage makes an empty table that can take a partition's place.
	Stage(ctx context.Context, q Querier, table Name, l *Layout, p Part, s pipeline.Storage) (Name, error)
	// Exchange puts a staged table in the place of a partition, or makes it the partition that there was none of (p.Table is
	// empty), and drops what made way. When somebody uses the table, so that this would wait, it does nothing and gives false.
	Exchange(ctx context.Context, q Querier, table Name, l *Layout, p Part, staged Name) (bool, error)
	// Analyze gathers the statistics of a table, if so many changed rows are worth it.
	Analyze(ctx context.Context, q Querier, table Name, changed int64) error
}

// Layout is how a table is cut into partitions by one column of dates or timestamps.
type Layout struct {
	Column  string
	Type    Type // Date or Timestamp
	List    bool // a partition is a list of dates instead of a range
	Classic bool // by Greenplum's own syntax
	Parts   []Part
	Default string // the table of the default partition, "" = there is none
}

// Part is one partition: the rows from From to before To. Both are written as the database writes a date or timestamp of UTC, and
// compare as texts: 2007-04-12, 2007-04-12 00:00:00. Empty means without bound.
type Part struct {
	Table    Name // "" = there is no such partition yet
	From, To string
}
