package modelcmd

import (
	"encoding/json"
	"fmt"
	"strconv"

	"damson/internal/cli/console"
	"damson/internal/model"
	"damson/internal/search"
)

// shownTrials is how many trials of a search are shown when not all are asked for.
const shownTrials = 10

// printTrials shows how a version's parameters were found, the best trials first; nothing when they were declared.
func (a *app) printTrials(v model.Version, all bool) error {
	if v.Search == nil {
		return nil
	}
	var table search.Table
	if err := json.Unmarshal(v.Search, &table); err != nil {
		return fmt.Errorf("read the trials of version %d of model %s: %w", v.Number, v.Model, err)
	}
	ranked := table.Ranked()
	a.Printf("  parameters found by %s search: %s\n", table.Method, ranked[0].Describe())
	a.Printf("  trial %d of %d, by %s over %d folds of the training side's %s\n\n", table.Best, len(ranked), table.Metric, table.Folds, console.Plural(int(table.Groups), "group"))
	head := []string{">rank", ">trial"}
	for _, p := range ranked[0].Parameters {
		head = append(head, ">"+p.Name)
	}
	g := console.NewGrid(append(head, ">"+table.Metric, ">std", ">seconds")...)
	shown := ranked
	if !all {
		shown = ranked[:min(len(ranked), shownTrials)]
	}
	for _, t := range shown {
		line := []string{"–", strconv.Itoa(t.Number)}
		if t.Rank > 0 {
			line[0] = strconv.Itoa(t.Rank)
		}
		for _, p := range t.Parameters {
			line = append(line, p.Text())
		}
		g.Add(append(line, digits(t.Mean), digits(t.Deviation), fmt.Sprintf("%.1f", t.Seconds))...)
	}
	g.Print(a.App)
	if rest := len(ranked) - len(shown); rest > 0 {
		a.Printf("and %d more: --trials shows all\n", rest)
	}
	if len(v.Gates) > 0 {
		a.Printf("\n")
	}
	return nil
}

// digits writes a score, which may be an error in any unit.
func digits(v *float64) string {
	if v == nil {
		return "–"
	}
	return strconv.FormatFloat(*v, 'g', 4, 64)
}
