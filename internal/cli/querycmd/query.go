package querycmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/plot"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
)

// Query is one `damson query`, or what another command shows of rows.
type Query struct {
	app    *console.App
	Format string // table, csv, json or parquet
	Out    string // file; "" = standard output
	plot   string // --plot as written
	Limit  int    // rows of a table; 0 = all
}

// New makes a Query that shows rows as c does.
func New(c *console.App) *Query { return &Query{app: c} }

// Formats are what rows are written in.
var Formats = []string{"table", "csv", "json", "parquet"}

func (a *app) queryCommand() *cobra.Command {
	q := New(a.App)
	cmd := &cobra.Command{
		Use:   `query "SQL"`,
		Short: "run SQL in the warehouse and show, save or plot its rows",
		Long: `Runs one statement in the project's warehouse. With "-" the SQL is read from standard input.
Without --plot the rows are printed or written as a table, CSV, JSON or Parquet.
With --plot they are drawn: hist:COL, scatter:X,Y or line:X,Y, in the terminal or, with --out, as PNG or SVG.`,
		Example: `  damson query "select mode, count(*) from geolife.label_clean group by mode"
  damson query "select speed from geolife.trajectory_speed" --plot hist:speed
  damson query "select * from geolife.model_features" --format parquet --out features.parquet`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sql, err := a.sqlArgument(args[0])
			if err != nil {
				return err
			}
			if err := q.Check(cmd.Flags().Changed("format")); err != nil {
				return err
			}
			p, err := a.OpenProject()
			if err != nil {
				return err
			}
			err = a.WithWarehouse(cmd.Context(), p, "query", func(w *warehouse.Warehouse) error {
				rows, err := w.Query(cmd.Context(), sqltext.Plain("query", sql))
				if err != nil {
					return err
				}
				return q.ShowAll(cmd.Context(), rows)
			})
			if !console.IsLocked(err) {
				return err
			}
			rows, served, servedErr := a.QueryServed(cmd.Context(), p, sql)
			switch {
			case !served:
				return err
			case servedErr != nil:
				return servedErr
			}
			return q.ShowAll(cmd.Context(), rows)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Format, "format", "table", "`how` to write the rows: table, csv, json or parquet")
	flags.StringVar(&q.Out, "out", "", "write to this `file` instead of standard output")
	flags.StringVar(&q.plot, "plot", "", "draw instead: `hist:COL`, scatter:X,Y or line:X,Y")
	flags.IntVar(&q.Limit, "limit", 100, "at most this many `rows` of a printed table; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(Formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// sqlArgument is the SQL itself, or standard input for "-".
func (a *app) sqlArgument(arg string) (string, error) {
	if arg == "-" {
		data, err := io.ReadAll(a.In)
		if err != nil {
			return "", diag.AsFinding("Standard input cannot be read", err)
		}
		arg = string(data)
	}
	if strings.TrimSpace(arg) == "" {
		return "", console.Usage("No SQL", "The statement is empty.", `Write it in quotes: damson query "select 1"`)
	}
	return arg, nil
}

// Check refuses options that do not go together, before anything runs.
func (q *Query) Check(formatGiven bool) error {
	if err := console.CheckLimit(q.Limit); err != nil {
		return err
	}
	if q.plot != "" {
		if _, err := plot.ParseSpec(q.plot); err != nil {
			return console.UsageError{Finding: diag.AsFinding("Unreadable plot", err)}
		}
		if formatGiven {
			return console.Usage("--plot and --format do not go together", "A plot's format follows the ending of --out.", "Leave one of them away.")
		}
		if q.Out != "" {
			if _, err := plot.Format(q.Out); err != nil {
				return console.UsageError{Finding: diag.AsFinding("No picture format", err)}
			}
		}
		return nil
	}
	switch q.Format {
	case "table", "csv", "json":
		return nil
	case "parquet":
		if q.Out == "" {
			return console.Usage("Parquet needs a file", "A Parquet file is not written to standard output.", "Add --out FILE.parquet.")
		}
		return nil
	}
	return console.Usage("Unknown format", fmt.Sprintf("--format %s is none of %s.", q.Format, strings.Join(Formats, ", ")), diag.DidYouMean(q.Format, Formats))
}

// ShowAll shows the rows and releases them.
func (q *Query) ShowAll(ctx context.Context, rows array.RecordReader) error {
	defer rows.Release()
	if err := q.show(ctx, rows); err != nil {
		return err
	}
	return rows.Err()
}

// show sends the rows where the options say.
func (q *Query) show(ctx context.Context, rows array.RecordReader) error {
	switch {
	case q.plot != "":
		return q.draw(rows)
	case q.Format == "parquet":
		return q.parquet(ctx, rows)
	case q.Out == "":
		return q.write(q.app.Out, rows)
	}
	return q.toFile(func(w io.Writer) error { return q.write(w, rows) })
}

func (q *Query) write(w io.Writer, rows array.RecordReader) error {
	switch q.Format {
	case "csv":
		return writeCSV(w, rows)
	case "json":
		return writeJSON(w, rows)
	}
	return q.table(w, rows)
}

// toFile streams into a file beside --out and puts it in place when it is whole.
func (q *Query) toFile(write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(q.Out), ".damson-*")
	if err != nil {
		return diag.Finding{Summary: q.Out + " was not written", Detail: err.Error(), Fix: "Choose another place with --out.", Cause: err}
	}
	defer os.Remove(tmp.Name()) // when it was renamed there is nothing to remove
	buffered := bufio.NewWriterSize(tmp, 1<<20)
	if err := write(buffered); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(buffered.Flush(), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return diag.Finding{Summary: q.Out + " was not written", Detail: err.Error(), Fix: "Free space there, or choose another place with --out.", Cause: err}
	}
	return os.Rename(tmp.Name(), q.Out)
}

func (q *Query) parquet(ctx context.Context, rows array.RecordReader) error {
	tmp := filepath.Join(filepath.Dir(q.Out), fmt.Sprintf(".damson-%d.parquet", os.Getpid()))
	defer os.Remove(tmp)
	if err := q.app.Drivers.WriteParquet(ctx, tmp, rows); err != nil {
		return err
	}
	return os.Rename(tmp, q.Out)
}

// table prints at most limit rows for people.
func (q *Query) table(w io.Writer, rows array.RecordReader) error {
	fields := rows.Schema().Fields()
	heads := make([]string, len(fields))
	for i, f := range fields {
		heads[i] = f.Name
		if isNumber(f.Type) {
			heads[i] = ">" + f.Name
		}
	}
	g := console.NewGrid(heads...)
	more := false
	for !more && rows.Next() {
		batch := rows.RecordBatch()
		for r := range int(batch.NumRows()) {
			if q.Limit > 0 && len(g.Rows) == q.Limit {
				more = true
				break
			}
			cells := make([]string, len(fields))
			for c := range cells {
				cells[c] = cellText(batch.Column(c), r, "NULL")
			}
			g.Add(cells...)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	to := *q.app
	to.Out = w
	if w != q.app.Out {
		to.Terminal = false
	}
	g.Print(&to)
	switch {
	case more:
		to.Printf("(the first %s; --limit 0 shows all)\n", console.Plural(len(g.Rows), "row"))
	default:
		to.Printf("(%s)\n", console.Plural(len(g.Rows), "row"))
	}
	return nil
}

func writeCSV(w io.Writer, rows array.RecordReader) error {
	out := csv.NewWriter(w)
	record := make([]string, rows.Schema().NumFields())
	for i, f := range rows.Schema().Fields() {
		record[i] = f.Name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for rows.Next() {
		batch := rows.RecordBatch()
		for r := range int(batch.NumRows()) {
			for c := range record {
				record[c] = cellText(batch.Column(c), r, "")
			}
			if err := out.Write(record); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return errors.Join(out.Error(), rows.Err())
}

// writeJSON writes an array with an object a row, one a line, the columns in their order.
func writeJSON(w io.Writer, rows array.RecordReader) error {
	fields := rows.Schema().Fields()
	keys := make([][]byte, len(fields))
	for i, f := range fields {
		key, err := json.Marshal(f.Name)
		if err != nil {
			return err
		}
		keys[i] = key
	}
	var line bytes.Buffer
	separator := "[\n"
	for rows.Next() {
		batch := rows.RecordBatch()
		for r := range int(batch.NumRows()) {
			line.Reset()
			line.WriteString(separator)
			separator = ",\n"
			for c := range fields {
				line.WriteString(map[bool]string{true: "  {", false: ", "}[c == 0])
				line.Write(keys[c])
				line.WriteString(": ")
				value, err := json.Marshal(cellJSON(batch.Column(c), r))
				if err != nil {
					return err
				}
				line.Write(value)
			}
			line.WriteByte('}')
			if _, err := w.Write(line.Bytes()); err != nil {
				return err
			}
		}
	}
	end := "\n]\n"
	if separator == "[\n" {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return errors.Join(err, rows.Err())
}

// draw collects the plotted columns and draws them.
func (q *Query) draw(rows array.RecordReader) error {
	spec, err := plot.ParseSpec(q.plot)
	if err != nil {
		return err
	}
	columns := make([]int, 0, 2)
	for _, name := range spec.Columns() {
		i, err := plotColumn(rows.Schema(), name)
		if err != nil {
			return err
		}
		columns = append(columns, i)
	}
	values := make([][]float64, len(columns))
	for rows.Next() {
		batch := rows.RecordBatch()
		for k, c := range columns {
			col := batch.Column(c)
			for r := range col.Len() {
				values[k] = append(values[k], cellNumber(col, r))
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var ys []float64
	if len(values) == 2 {
		ys = values[1]
		if ys == nil {
			ys = []float64{}
		}
	}
	timeX := isTime(rows.Schema().Field(columns[0]).Type)
	chart := plot.New(spec, values[0], ys, timeX)
	if q.Out == "" {
		return chart.Text(q.app.Out, q.app.Width)
	}
	format, err := plot.Format(q.Out)
	if err != nil {
		return err
	}
	data, err := chart.Encode(format)
	if err != nil {
		return err
	}
	if err := console.WriteFile(q.Out, data); err != nil {
		return err
	}
	q.app.Printf("wrote %s: %s\n", q.Out, chart.Title())
	return nil
}

// plotColumn finds a column that can be drawn.
func plotColumn(schema *arrow.Schema, name string) (int, error) {
	var names []string
	for i, f := range schema.Fields() {
		if f.Name == name {
			if isNumber(f.Type) || isTime(f.Type) || f.Type.ID() == arrow.BOOL {
				return i, nil
			}
			return 0, diag.Finding{Summary: "A column that cannot be drawn", Detail: fmt.Sprintf("%q holds %s, not numbers or times.", name, f.Type),
				Fix: "Choose a numeric column, or cast it in the SQL."}
		}
		names = append(names, f.Name)
	}
	return 0, diag.Finding{Summary: "Unknown column in --plot", Detail: fmt.Sprintf("The result has no column %q. It has: %s.", name, strings.Join(names, ", ")),
		Fix: diag.DidYouMean(name, names)}
}
