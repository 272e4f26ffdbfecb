package warehouse

import (
	"fmt"
	"strings"

	"damson/internal/warehouse/driver"
)

// difference is how the columns of a SELECT differ from those of the table it writes.
type difference struct {
	added   []driver.Column // in the SELECT only
	removed []driver.Column // in the table only
	changed [][2]driver.Column
}

// compare finds how a SELECT's columns differ from a table's, and sets names to the table's names of the SELECT's columns.
// Names that differ in letter case only are the same; the order of columns does not matter.
func compare(table, sel []driver.Column, names []string) (d difference) {
	have := map[string]driver.Column{}
	for _, c := range table {
		have[strings.ToLower(c.Name)] = c
	}
	for i, c := range sel {
		t, ok := have[strings.ToLower(c.Name)]
		if !ok {
			d.added = append(d.added, c)
			continue
		}
		names[i] = t.Name
		if t.Type != c.Type {
			d.changed = append(d.changed, [2]driver.Column{t, c})
		}
		delete(have, strings.ToLower(c.Name))
	}
	for _, c := range table {
		if _, ok := have[strings.ToLower(c.Name)]; ok {
			d.removed = append(d.removed, c)
		}
	}
	return d
}

func (d difference) none() bool { return len(d.added)+len(d.removed)+len(d.changed) == 0 }

func (d difference) onlyAdds() bool { return len(d.added) > 0 && len(d.removed)+len(d.changed) == 0 }

// describe names each column that differs.
func (d difference) describe(table driver.Name) string {
	var parts []string
	for _, c := range d.added {
		parts = append(parts, fmt.Sprintf("%s (%s) is new", c.Name, c.Type))
	}
	for _, c := range d.removed {
		parts = append(parts, fmt.Sprintf("%s (%s) is missing", c.Name, c.Type))
	}
	for _, c := range d.changed {
		parts = append(parts, fmt.Sprintf("%s is %s and was %s", c[0].Name, c[1].Type, c[0].Type))
	}
	return fmt.Sprintf("The SELECT does not give the columns of table %s: %s. Nothing was written.", table, strings.Join(parts, "; "))
}

// fix says how to allow each kind of change.
func (d difference) fix() string {
	var parts []string
	if len(d.added) > 0 {
		parts = append(parts, "To let the SELECT add columns, set new_columns = True on the task; rows that are there get NULL.")
	}
	for _, c := range d.removed {
		parts = append(parts, fmt.Sprintf("To keep %s, select it again, if only as CAST(NULL AS %s) AS %s; to give it up, drop it from the table.", c.Name, sqlTypes[c.Type], c.Name))
	}
	for _, c := range d.changed {
		parts = append(parts, fmt.Sprintf("To keep %s as it was, cast it in the SELECT to %s; to change it, alter the table.", c[0].Name, sqlTypes[c[0].Type]))
	}
	return strings.Join(parts, "\n")
}
