package history

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/migrate"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
)

// Warning says in one line that the warehouse has not exactly these migrations; "" when it has. kind is that of the warehouse.
func Warning(ctx context.Context, w *warehouse.Warehouse, migrations []migrate.Migration, kind string) string {
	if len(migrations) == 0 {
		return ""
	}
	rows, err := Read(ctx, func(ctx context.Context, sql string) (array.RecordReader, error) {
		return w.Query(ctx, sqltext.Plain("", sql))
	})
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return "the history of migrations cannot be read: " + first
	}
	var open []string
	for _, e := range migrate.Plan(migrations, rows, kind) {
		if !e.State.InOrder() {
			open = append(open, fmt.Sprintf("%s (%s)", e, e.State))
		}
	}
	if len(open) == 0 {
		return ""
	}
	more := ""
	if len(open) > 3 {
		open, more = open[:3], fmt.Sprintf(" and %d more", len(open)-3)
	}
	return fmt.Sprintf("migrations are not in order: %s%s: see damson migrate status", strings.Join(open, ", "), more)
}
