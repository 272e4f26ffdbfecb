package console

import (
	"fmt"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project"
)

// OpenPipeline opens the project and chooses one of its pipelines, of which the tasks are wanted.
func (a *App) OpenPipeline(name string, taskNames []string) (*project.Project, *pipeline.Pipeline, error) {
	p, err := a.OpenProject()
	if err != nil {
		return nil, nil, err
	}
	pl, err := ChoosePipeline(p, name, taskNames)
	return p, pl, err
}

// InGroups gives the names with each group replaced by its tasks.
func InGroups(pl *pipeline.Pipeline, names []string) []string {
	var all []string
	for _, name := range names {
		inside := len(all)
		for _, t := range pl.Tasks {
			if t.Name != name && (t.Group == name || strings.HasPrefix(t.Group, name+".")) && !slices.Contains(all, t.Name) {
				all = append(all, t.Name)
			}
		}
		if pl.Task(name) != nil || len(all) == inside {
			all = append(all, name)
		}
	}
	return all
}

// ChoosePipeline finds the pipeline and checks that it has the tasks.
func ChoosePipeline(p *project.Project, name string, taskNames []string) (*pipeline.Pipeline, error) {
	pl, err := p.Pipeline(name)
	if err != nil {
		return nil, UsageError{diag.AsFinding("Unknown pipeline", err)}
	}
	for _, t := range InGroups(pl, taskNames) {
		if pl.Task(t) == nil {
			return nil, Usage("Unknown task", fmt.Sprintf("Pipeline %q has no task %q. It has: %s.", name, t, strings.Join(pl.TaskNames(), ", ")),
				diag.DidYouMean(t, pl.TaskNames()))
		}
	}
	return pl, nil
}

// ParseParams reads key=value pairs over the pipeline's declared parameters.
func ParseParams(p *pipeline.Pipeline, pairs []string) (map[string]any, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	params := map[string]any{}
	var names []string
	for name, value := range p.Params {
		params[name] = value
		names = append(names, name)
	}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, Usage("Unreadable --param", fmt.Sprintf("%q has no '='.", pair), "Write --param name=value.")
		}
		if _, declared := p.Params[name]; !declared {
			return nil, Usage("Unknown parameter", fmt.Sprintf("Pipeline %q declares no parameter %q.", p.Name, name),
				strings.TrimSpace(diag.DidYouMean(name, names)+" Parameters are declared with params = {…} in the pipeline's file."))
		}
		params[name] = value
	}
	return params, nil
}
