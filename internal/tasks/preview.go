package tasks

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/pipeline"
	"damson/internal/run"
)

// Preview gives what the task would run for the run, for people: its SQL under a comment that says where the rows go, or
// the files it would load.
func (s *Shop) Preview(ctx context.Context, p *pipeline.Pipeline, t *pipeline.Task, r run.Run) (string, error) {
	c, err := s.Context(ctx, p, t, r, r.End, 1)
	if err != nil {
		return "", err
	}
	if t.Kind == pipeline.LoadTask {
		root, files, err := s.Project.LoadFiles(t, c)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("-- load %s files into %s, from %s:\n%s\n", t.Load.Format, t.Load.Into, orHere(root), strings.Join(files, "\n")), nil
	}
	text, err := tableSource(t)
	if t.File() != "" {
		text, err = s.Project.Render(t, c)
	}
	if err != nil {
		return "", err
	}
	r.Start, r.End = r.Start.In(c.Location), r.End.In(c.Location)
	return heading(t, r) + text.SQL(), nil
}

func orHere(root string) string {
	if root == "" {
		return "the project's directory"
	}
	return root
}

// heading says in a SQL comment what happens with the rows of the statement below it.
func heading(t *pipeline.Task, r run.Run) string {
	var what string
	switch t.Kind {
	case pipeline.TrainTask:
		return fmt.Sprintf("-- the rows that model %s is trained on\n", t.Train.Model)
	case pipeline.ScoreTask:
		what = fmt.Sprintf("-- the rows that the champion of model %s scores, ", t.Score.Model)
	default:
		if t.SQL.Target == nil {
			return ""
		}
		what = "-- "
	}
	target := t.Target()
	switch {
	case target.Mode != pipeline.Replace:
		what += fmt.Sprintf("%s into %s", target.Mode, target.Into)
	case target.PartitionBy == "":
		what += "replacing all of " + target.Into
	default:
		what += fmt.Sprintf("replacing the rows of %s with %s in [%s, %s)", target.Into, target.PartitionBy,
			r.Start.Format("2006-01-02 15:04"), r.End.Format("2006-01-02 15:04"))
	}
	return what + "\n"
}
