package load

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// hiddenFile is the column that keeps the file's name when the load asks for none: without it, the rows of a changed file
// could not be found again.
const hiddenFile = "_file"

// layout is the shape of the rows: first the columns of the data, then those of the file's name, the file and the line.
type layout struct {
	columns []driver.Column
	data    int // the first of columns, which the files' content gives
	fields  int // as many after them, from the file's name
	file    int // number of the column of the file's name
	line    int // number of the column of the line, -1 for none
}

// newLayout puts a load's own columns behind those of the data.
func newLayout(data []driver.Column, spec pipeline.Load, fields []string) (*layout, error) {
	l := &layout{columns: append([]driver.Column(nil), data...), data: len(data), fields: len(fields), line: -1}
	for _, name := range fields {
		l.columns = append(l.columns, driver.Column{Name: name, Type: driver.Text})
	}
	l.file = len(l.columns)
	l.columns = append(l.columns, driver.Column{Name: fileColumn(spec), Type: driver.Text})
	if spec.LineColumn != "" {
		l.line = len(l.columns)
		l.columns = append(l.columns, driver.Column{Name: spec.LineColumn, Type: driver.Bigint})
	}
	seen := map[string]bool{}
	for _, c := range l.columns {
		if low := strings.ToLower(c.Name); seen[low] {
			return nil, diag.Finding{
				Summary: "Two columns of one name",
				Detail:  fmt.Sprintf("The load into %s has the column %q twice, among the data, filename_fields, filename_column and line_column.", spec.Into, c.Name),
				Fix:     "Give one of them another name.",
			}
		} else {
			seen[low] = true
		}
	}
	return l, nil
}

// fileColumn is the name of the column that holds the file's name.
func fileColumn(spec pipeline.Load) string {
	if spec.FilenameColumn != "" {
		return spec.FilenameColumn
	}
	return hiddenFile
}

// schema gives the layout as Arrow.
func (l *layout) schema() *arrow.Schema {
	fields := make([]arrow.Field, len(l.columns))
	for i, c := range l.columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrowTypes[c.Type], Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// dataNames lists the names of the data's columns.
func (l *layout) dataNames() []string { return columnNames(l.columns[:l.data]) }

func columnNames(columns []driver.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// declared gives the columns that the spec names, nil when it leaves them to the files.
func declared(spec pipeline.Load) ([]driver.Column, error) {
	if len(spec.Columns) == 0 {
		if spec.Format == "plt" {
			return pltColumns, nil
		}
		return nil, nil
	}
	var columns []driver.Column
	for _, c := range spec.Columns {
		t := driver.Type(c.Type)
		if arrowTypes[t] == nil {
			types := []string{"text", "bigint", "double", "boolean", "date", "time", "timestamp"}
			return nil, diag.Finding{
				Summary: "Unknown column type",
				Detail:  fmt.Sprintf("Column %q of the load into %s has type %q; the types are %s.", c.Name, spec.Into, c.Type, strings.Join(types, ", ")),
				Fix:     diag.DidYouMean(c.Type, types),
			}
		}
		columns = append(columns, driver.Column{Name: c.Name, Type: t})
	}
	if spec.Format == "plt" {
		return columns, checkPLTColumns(columns)
	}
	return columns, nil
}

// checkPLTColumns allows other names for a PLT file's columns, but not another order or other types.
func checkPLTColumns(columns []driver.Column) error {
	ok := len(columns) == len(pltColumns)
	for i := 0; ok && i < len(columns); i++ {
		ok = columns[i].Type == pltColumns[i].Type
	}
	if ok {
		return nil
	}
	var want []string
	for _, c := range pltColumns {
		want = append(want, fmt.Sprintf("%s %s", c.Name, c.Type))
	}
	return diag.Finding{
		Summary: "Columns that a PLT file does not have",
		Detail:  fmt.Sprintf("The load declares %s; a PLT file gives %s.", strings.Join(columnNames(columns), ", "), strings.Join(want, ", ")),
		Fix:     "Leave columns out, or name these six in this order.",
	}
}

// headerMap says which data column each field of a file's header is, by names of which case, blanks and punctuation do
// not count ("Start Time" is start_time). A name too many or too few is a finding.
func headerMap(at diag.Pos, header []string, columns []string) ([]int, error) {
	number := map[string]int{}
	for i, name := range columns {
		number[columnName(name)] = i
	}
	fields := make([]int, len(header))
	taken := make([]bool, len(columns))
	for i, name := range header {
		n, known := number[columnName(name)]
		switch {
		case !known:
			return nil, diag.Finding{
				At:      at,
				Summary: "Unknown column in the header",
				Detail:  fmt.Sprintf("The file's header names %q, which is none of the load's columns (%s).", name, strings.Join(columns, ", ")),
				Fix:     either(diag.DidYouMean(columnName(name), columns), "Declare it in columns, or take it out of the file."),
			}
		case taken[n]:
			return nil, diag.Finding{
				At: at, Summary: "Column twice in the header",
				Detail: fmt.Sprintf("The file's header names %q more than once.", name),
				Fix:    "Rename one of the two in the file.",
			}
		}
		fields[i], taken[n] = n, true
	}
	for n, name := range columns {
		if !taken[n] {
			return nil, diag.Finding{
				At:      at,
				Summary: "Column missing from the header",
				Detail:  fmt.Sprintf("The file's header has no column %q; it names %s.", name, strings.Join(header, ", ")),
				Fix:     either(diag.DidYouMean(name, header), "Take the column out of the load, or add it to the file."),
			}
		}
	}
	return fields, nil
}

// either gives the first text that is not empty.
func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// columnName makes a SQL name of a header's text: letters and digits in lower case, everything else one underscore.
func columnName(header string) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(header) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(unicode.ToLower(r))
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"), r == '_':
			b.WriteByte('_')
		}
	}
	if name := strings.TrimRight(b.String(), "_"); name != "" {
		return name
	}
	return b.String()
}

// nameFields fills each file's fields from its name.
func nameFields(files []*file, spec pipeline.Load, pattern *regexp.Regexp) error {
	if pattern == nil {
		return nil
	}
	for _, f := range files {
		m := pattern.FindStringSubmatch(f.name)
		if m == nil {
			return diag.Finding{
				At:      diag.Pos{File: f.name},
				Summary: "The file's name does not match filename_fields",
				Detail:  fmt.Sprintf("%q has no part that matches %q.", f.name, spec.FilenameFields),
				Fix:     "Correct the expression, or the glob, so that they fit each other. The name is relative to the load's root.",
			}
		}
		f.fields = f.fields[:0]
		for i, name := range pattern.SubexpNames() {
			if name != "" {
				f.fields = append(f.fields, m[i])
			}
		}
	}
	return nil
}

// fieldPattern compiles FilenameFields and lists its groups.
func fieldPattern(spec pipeline.Load) (*regexp.Regexp, []string, error) {
	if spec.FilenameFields == "" {
		return nil, nil, nil
	}
	re, err := regexp.Compile(spec.FilenameFields)
	if err != nil {
		return nil, nil, diag.Finding{
			Summary: "Bad regular expression in filename_fields",
			Detail:  err.Error() + ".",
			Fix:     "Write it as in `Data/(?P<uid>[^/]+)/`.",
			Cause:   err,
		}
	}
	var names []string
	for _, name := range re.SubexpNames() {
		if name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil, diag.Finding{
			Summary: "filename_fields names no column",
			Detail:  fmt.Sprintf("The expression %q has no named group.", spec.FilenameFields),
			Fix:     "Name what it should take, as in `Data/(?P<uid>[^/]+)/`.",
		}
	}
	return re, names, nil
}
