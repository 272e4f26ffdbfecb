package modelcmd

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/cli/querycmd"
	"damson/internal/diag"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

func (a *app) modelExportCommand() *cobra.Command {
	var format, source, out string
	cmd := &cobra.Command{
		Use:   "export MODEL [VERSION]",
		Short: "write a version as a SELECT that scores rows (default: the champion)",
		Example: `  damson model export walk --source geolife.predict_features
  damson model export walk 3 --source "select * from geolife.predict_features where uid = '010'" --out walk.sql`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeVersions(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "sql" {
				return console.Usage("Unknown format", fmt.Sprintf("--format %s: a model is written as sql.", format), "Write --format sql.")
			}
			if source == "" {
				return console.Usage("No rows to score", "A model is written as a SELECT over the rows that it scores.", "Write --source schema.table, or a SELECT in quotes.")
			}
			rows, err := sourceSQL(source)
			if err != nil {
				return err
			}
			p, v, err := a.versionOf(cmd.Context(), args)
			if err != nil {
				return err
			}
			columns, kind, err := a.describe(cmd.Context(), p, rows)
			if err != nil {
				return err
			}
			text, err := scoring.SQL(*v, rows, columns, pipeline.Score{Model: v.Model}, kind)
			if err != nil {
				return err
			}
			sql := fmt.Sprintf("-- Version %d of model %s, as Damson scores with it.\n%s;\n", v.Number, v.Model, text.SQL())
			if out == "" {
				a.Printf("%s", sql)
				return nil
			}
			if err := os.WriteFile(out, []byte(sql), 0o666); err != nil {
				return diag.Finding{Summary: out + " was not written", Detail: err.Error(), Fix: "Choose another place with --out.", Cause: err}
			}
			a.Printf("%s\n", out)
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "sql", "`how` to write it: sql")
	cmd.Flags().StringVar(&source, "source", "", "the rows to score: a `table` or a SELECT")
	cmd.Flags().StringVar(&out, "out", "", "write to this `file` instead of standard output")
	return cmd
}

// describe gives the columns of a SELECT and the warehouse's kind, through a server where one has it open.
func (a *app) describe(ctx context.Context, p *project.Project, rows sqltext.Text) (columns []driver.Column, kind string, err error) {
	err = a.WithWarehouse(ctx, p, "model export", func(w *warehouse.Warehouse) error {
		kind = w.Kind()
		columns, err = w.Describe(ctx, rows)
		return err
	})
	if !console.IsLocked(err) {
		return columns, kind, err
	}
	reader, served, servedErr := a.QueryServed(ctx, p, "select * from (\n"+rows.SQL()+"\n) as rows limit 0")
	switch {
	case !served:
		return nil, "", err
	case servedErr != nil:
		return nil, "", servedErr
	}
	defer reader.Release()
	for _, f := range reader.Schema().Fields() {
		columns = append(columns, driver.Column{Name: f.Name, Type: typeOf(f.Type), Native: f.Type.String()})
	}
	return columns, "duckdb", nil // no other warehouse is locked
}

// typeOf gives the portable type of a column that a server sent, as far as scoring tells them apart.
func typeOf(t arrow.DataType) driver.Type {
	switch {
	case t.ID() == arrow.BOOL:
		return driver.Boolean
	case arrow.IsInteger(t.ID()):
		return driver.Bigint
	case arrow.IsFloating(t.ID()), arrow.IsDecimal(t.ID()):
		return driver.Double
	case t.ID() == arrow.STRING, t.ID() == arrow.LARGE_STRING:
		return driver.Text
	}
	return driver.Timestamp // no feature
}

func (a *app) modelPredictCommand() *cobra.Command {
	q := querycmd.New(a.App)
	var source, file string
	cmd := &cobra.Command{
		Use:   "predict MODEL [VERSION]",
		Short: "score rows and show the predictions, writing nothing to the warehouse (default: by the champion)",
		Example: `  damson model predict walk --source geolife.predict_features
  damson model predict walk 3 --csv windows.csv --format csv`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeVersions(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.Check(cmd.Flags().Changed("format")); err != nil {
				return err
			}
			if (source == "") == (file == "") {
				return console.Usage("No rows to score", "predict takes its rows from a table or SELECT of the warehouse, or from a CSV file.", "Give one of --source and --csv.")
			}
			p, v, err := a.versionOf(cmd.Context(), args)
			if err != nil {
				return err
			}
			show := func(rows array.RecordReader) error { return a.showScored(cmd.Context(), q, *v, rows) }
			if file != "" {
				return readCSV(file, *v, show)
			}
			return a.readSource(cmd.Context(), p, source, show)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&source, "source", "", "the rows to score: a `table` or a SELECT")
	flags.StringVar(&file, "csv", "", "the rows to score: a CSV `file` with a line of names; empty values are missing")
	flags.StringVar(&q.Format, "format", "table", "`how` to write the rows: table, csv, json or parquet")
	flags.StringVar(&q.Out, "out", "", "write to this `file` instead of standard output")
	flags.IntVar(&q.Limit, "limit", 100, "at most this many `rows` of a printed table; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(querycmd.Formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// versionOf reads the version that the arguments name.
func (a *app) versionOf(ctx context.Context, args []string) (p *project.Project, v *model.Version, err error) {
	asked, err := versionArgument(args)
	if err != nil {
		return nil, nil, err
	}
	p, err = a.OpenProject()
	if err != nil {
		return nil, nil, err
	}
	err = a.withRegistry(ctx, func(r *registry.Registry) error {
		v, err = asked.show(ctx, r)
		return err
	})
	return p, v, err
}

// sourceSQL makes a SELECT of a table's name; a SELECT is given back.
func sourceSQL(source string) (sqltext.Text, error) {
	if words := strings.Fields(source); len(words) > 1 {
		return sqltext.Plain("--source", strings.TrimRight(strings.TrimSpace(source), ";")), nil
	}
	schema, table, err := sqltext.ParseName(source)
	if err != nil {
		return sqltext.Text{}, console.Usage("No table to score", err.Error(), "Write --source schema.table, or a SELECT in quotes.")
	}
	name := sqltext.QuoteIdent(table)
	if schema != "" {
		name = sqltext.QuoteIdent(schema) + "." + name
	}
	return sqltext.Plain("--source", "select * from "+name), nil
}

// readSource reads rows of the warehouse, through a server where one has it open.
func (a *app) readSource(ctx context.Context, p *project.Project, source string, show func(array.RecordReader) error) error {
	rows, err := sourceSQL(source)
	if err != nil {
		return err
	}
	err = a.WithWarehouse(ctx, p, "model predict", func(w *warehouse.Warehouse) error {
		reader, err := w.Query(ctx, rows)
		if err != nil {
			return err
		}
		return show(reader)
	})
	if !console.IsLocked(err) {
		return err
	}
	reader, served, servedErr := a.QueryServed(ctx, p, rows.SQL())
	switch {
	case !served:
		return err
	case servedErr != nil:
		return servedErr
	}
	return show(reader)
}

// showScored scores rows in Go and shows them. It releases the rows.
func (a *app) showScored(ctx context.Context, q *querycmd.Query, v model.Version, rows array.RecordReader) error {
	scored, err := scoring.Rows(ctx, v, rows, pipeline.Score{Model: v.Model}, diag.Pos{}, 0)
	if err != nil {
		rows.Release()
		return err
	}
	return q.ShowAll(ctx, scored)
}
