package tasks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/process"
	"damson/internal/sqltext"
	"damson/internal/template/airflow"
	"damson/internal/warehouse"
)

// ParquetWriter writes the rows of a stream to a Parquet file.
type ParquetWriter func(ctx context.Context, path string, rows array.RecordReader) error

// processExecutor runs the program of a python or shell task.
type processExecutor struct{ *Shop }

// skipCode is the exit code by which a program says that there is nothing to do (Airflow: skip_on_exit_code).
const skipCode = 99

// ran is what a program without a table reports.
type ran struct {
	ExitCode int `json:"exit_code"`
}

// Execute writes the inputs, runs the program, and takes the rows that it wrote. A task with neither touches no warehouse.
func (e processExecutor) Execute(ctx context.Context, w engine.Work) (outcome engine.Outcome, err error) {
	c, err := e.workContext(ctx, w)
	if err != nil {
		return outcome, err
	}
	cmd, err := e.command(w.Task, c)
	if err != nil {
		return outcome, err
	}
	r, err := e.newRoom()
	if err != nil {
		return outcome, err
	}
	defer func() {
		if left := r.close(); left != nil {
			w.Log.Warnf("the task's temporary files could not be removed: %v", left)
		}
	}()
	inputs, err := e.inputs(ctx, w, c, r)
	if err != nil {
		return outcome, err
	}
	result, err := e.run(ctx, w, c, cmd, r, inputs)
	switch {
	case err != nil:
		return outcome, err
	case result.Code == skipCode:
		return engine.Outcome{Skip: skipped(result)}, nil
	case !result.Success():
		return outcome, e.failed(w, cmd, result)
	case w.Task.Process.Target == nil:
		outcome.Result = ran{}
		if len(inputs) > 0 {
			err = e.Warehouse.Do(ctx, w.Claims, func(*warehouse.Tx) (any, error) { return outcome.Result, nil })
		}
		return outcome, err
	}
	return e.take(ctx, w, r.path("output.parquet"))
}

// skipped says why a program found nothing to do: the last that it said.
func skipped(r process.Result) string {
	reason := fmt.Sprintf("its program ended with exit code %d", skipCode)
	if n := len(r.Tail); n > 0 && strings.TrimSpace(r.Tail[n-1]) != "" {
		reason += ": " + strings.TrimSpace(r.Tail[n-1])
	}
	return reason
}

// inputs writes the program's inputs as Parquet files and gives their paths by name.
func (e processExecutor) inputs(ctx context.Context, w engine.Work, c airflow.Context, r *room) (map[string]string, error) {
	paths := map[string]string{}
	for i, in := range w.Task.Process.Inputs {
		text, err := e.inputRows(w.Task, in, c)
		if err != nil {
			return nil, err
		}
		rows, err := e.Warehouse.Query(ctx, text)
		if err != nil {
			return nil, err
		}
		path := r.path(fmt.Sprintf("input_%d.parquet", i))
		err = e.ToParquet(ctx, path, rows)
		rows.Release()
		if err != nil {
			return nil, err
		}
		paths[in.Name] = path
	}
	return paths, nil
}

func (s *Shop) inputRows(t *pipeline.Task, in pipeline.Input, c airflow.Context) (sqltext.Text, error) {
	if in.File != "" {
		return s.Renderer.RenderFile(t, in.File, c)
	}
	return tableRows(t, in.Table)
}

// redactedLine is a line that a program wrote, without secrets.
func (s *Shop) redactedLine(line string) string {
	if beginning, cut := strings.CutSuffix(line, process.Cut); cut {
		return s.Project.RedactCut(beginning) + process.Cut
	}
	return s.Project.Redact(line)
}

// run runs the program; what it writes goes to the task's log.
func (e processExecutor) run(ctx context.Context, w engine.Work, c airflow.Context, cmd command, r *room, inputs map[string]string) (process.Result, error) {
	env, err := e.variables(w, c, cmd, r, inputs)
	if err != nil {
		return process.Result{}, err
	}
	path, err := e.findProgram(w.Task, cmd, env)
	if err != nil {
		return process.Result{}, engine.GiveUp(err)
	}
	result, err := process.Run(ctx, process.Spec{
		Path: path, Args: cmd.args, Dir: e.Project.Dir, Env: env,
		Stdout: func(line string) { w.Log.Infof("%s", e.redactedLine(line)) },
		Stderr: func(line string) { w.Log.Warnf("%s", e.redactedLine(line)) },
	})
	for i, line := range result.Tail {
		result.Tail[i] = e.redactedLine(line)
	}
	if result.Omitted > 0 {
		w.Log.Warnf("it wrote too much: %d more lines are left out here", result.Omitted)
	}
	if err != nil && ctx.Err() == nil {
		err = diag.Finding{At: w.Task.At, Summary: "The program cannot be started", Detail: err.Error() + ".",
			Fix: "Look whether it may be executed on this machine.", Cause: err}
	}
	return result, err
}

// findProgram gives the path of the interpreter, and makes sure that the task's file is there for it.
func (e processExecutor) findProgram(t *pipeline.Task, cmd command, env []string) (string, error) {
	if file := t.Process.File; file != "" {
		if info, err := os.Stat(filepath.Join(e.Project.Source, file)); err != nil || info.IsDir() {
			return "", diag.Finding{At: t.At, Summary: "Missing program", Detail: fmt.Sprintf("Task %s runs %s, which is not there.", t.Name, file),
				Fix: "Put the file there, or correct file in the pipeline's file."}
		}
	}
	if cmd.path == "sh" {
		return "/bin/sh", nil
	}
	searched := ""
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, "PATH="); ok {
			searched = value
		}
	}
	if path := locate(cmd.path, searched); path != "" {
		return path, nil
	}
	f := diag.Finding{At: t.At, Summary: "The program is not there",
		Detail: fmt.Sprintf("Task %s runs on %s, which is not on this machine (PATH is %s).", t.Name, cmd.path, searched)}
	if t.Kind == pipeline.PythonTask {
		f.Fix = "Install Python 3, make an environment for the project with `python3 -m venv .venv`, or name the interpreter in the environment variable DAMSON_PYTHON."
	}
	return "", f
}

// failed tells how a program failed.
func (e processExecutor) failed(w engine.Work, cmd command, r process.Result) error {
	what := w.Task.Process.File
	if what == "" {
		what = "The command"
	}
	f := diag.Finding{At: w.Task.At, Summary: "The program failed",
		Detail: fmt.Sprintf("%s: %s.", what, r),
		Fix:    fmt.Sprintf("Its whole output: `damson logs %s %s`", w.Runs[0].ID, w.Task.Name)}
	if len(r.Tail) > 0 {
		f.Detail += " It said last:\n" + strings.Join(r.Tail, "\n")
	}
	switch {
	case r.Signal == syscall.SIGKILL:
		f.Fix += "\nWhen the machine runs out of memory it ends programs so: let the program work on less at a time."
	case r.Code == 127:
		f.Fix += "\nExit code 127 is the shell's for a program that it does not find: look at its name and PATH."
	}
	return f
}

// take writes the rows of the program's Parquet file into the target.
func (e processExecutor) take(ctx context.Context, w engine.Work, path string) (outcome engine.Outcome, err error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return outcome, diag.Finding{At: w.Task.At, Summary: "The program wrote no rows",
			Detail: fmt.Sprintf("It ended well, and there is no file at the path in DAMSON_OUTPUT for %s.", w.Task.Into()),
			Fix:    fmt.Sprintf("Let it write one Parquet file there, if only without rows, or end with exit code %d when there is nothing to do.", skipCode)}
	}
	err = e.Warehouse.Do(ctx, w.Claims, func(tx *warehouse.Tx) (any, error) {
		rows, err := e.Parquet(ctx, path)
		if err != nil {
			return nil, unreadableOutput(w, err)
		}
		defer rows.Release()
		all, each, err := appendInto(ctx, tx, w, rows, columnsOf(rows.Schema()), *w.Task.Process.Target)
		if failed := rows.Err(); failed != nil {
			return nil, unreadableOutput(w, failed)
		}
		outcome = outcomeOf(w, all, each, func(rows written) any { return rows })
		return recorded(outcome), atTask(w, err)
	})
	return outcome, err
}

func unreadableOutput(w engine.Work, err error) error {
	f := diag.AsFinding("", err)
	return diag.Finding{At: w.Task.At, Summary: "The program's rows cannot be read",
		Detail: fmt.Sprintf("The file that it wrote to DAMSON_OUTPUT for %s: %s", w.Task.Into(), f.Detail),
		Fix:    "Let it write a Parquet file there and close it before it ends.", Cause: err}
}

// atTask puts a finding about rows that came from a program, which has no SQL file, at the task.
func atTask(w engine.Work, err error) error {
	var f diag.Finding
	if !errors.As(err, &f) {
		return err
	}
	f.At = w.Task.At
	f.Detail += "\nThe rows are those that the program wrote to DAMSON_OUTPUT."
	f.Detail = strings.ReplaceAll(f.Detail, "The SELECT", "The program")
	f.Detail = strings.ReplaceAll(f.Detail, "the SELECT", "the program")
	return f
}
