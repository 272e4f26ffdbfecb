package modelcmd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"damson/internal/cli/console"
	"damson/internal/metric"
)

// printJudgement shows a report: held-out rows, segments, cross-validation, and what its kind of model has besides; what
// mattered; what to look at.
func (a *app) printJudgement(r metric.Report) {
	a.Printf("\n")
	a.printMetrics(r)
	a.printIntervals(r)
	switch {
	case r.Classes != nil:
		a.printClasses("held-out rows", *r.Classes)
		a.printFoldClasses(r.Folds)
	case r.Regression != nil:
		a.printNumbers(*r.Regression)
	case r.Clusters != nil:
		a.printClusters(*r.Clusters)
	default:
		a.Printf("\n")
		a.printConfusion(r)
		a.printThresholds(r)
		a.printLift(r.Lift)
	}
	if len(r.Importance) > 0 {
		a.Printf("\n")
		a.printImportance(r, 8)
		a.printDependence(r, 4)
	}
	for _, w := range r.Warnings {
		a.Printf("%s %s\n", a.Style(console.StyleBad, "warning:"), w)
	}
}

// shownMetrics are a kind's, under the heads of their columns.
var shownMetrics = map[metric.Kind][][2]string{
	metric.Binary: {{"auc", "auc"}, {"accuracy", "accuracy"}, {"by weight", "weighted_accuracy"}, {"f1", "f1"}, {"log loss", "log_loss"}},
	metric.Multiclass: {{"accuracy", "accuracy"}, {"balanced", "balanced_accuracy"}, {"by weight", "weighted_accuracy"}, {"macro f1", "macro_f1"},
		{"macro auc", "macro_auc"}, {"log loss", "log_loss"}},
	metric.Regression: {{"rmse", "rmse"}, {"of the mean", "mean_rmse"}, {"mae", "mae"}, {"r2", "r2"}, {"bias", "bias"}, {"largest", "max_error"}},
	metric.Clustering: {{"silhouette", "silhouette"}, {"calinski harabasz", "calinski_harabasz"}, {"davies bouldin", "davies_bouldin"}, {"inertia", "inertia"},
		{"adjusted rand", "adjusted_rand"}, {"v measure", "v_measure"}},
}

// KindOf is the kind of model that a report judges.
func KindOf(r metric.Report) metric.Kind { return cmp.Or(r.Kind, metric.Binary) }

func (a *app) printMetrics(r metric.Report) {
	shown := slices.Clone(shownMetrics[KindOf(r)])
	shown = slices.DeleteFunc(shown, func(m [2]string) bool {
		_, has := r.Metrics[m[1]]
		return !has && (m[1] == "weighted_accuracy" || slices.Contains(metric.NeedTarget, m[1]))
	})
	head := []string{"judged on", ">rows"}
	for _, m := range shown {
		head = append(head, ">"+m[0])
	}
	g := console.NewGrid(head...)
	add := func(name string, rows int64, m map[string]float64) {
		line := []string{name, console.Count(rows)}
		for _, s := range shown {
			line = append(line, metricText(m, s[1]))
		}
		g.Add(line...)
	}
	add("held-out rows", r.Rows, r.Metrics)
	if s := r.Segments; s != nil {
		add("held-out segments", s.Segments, s.Metrics)
	}
	if f := r.Folds; f != nil {
		add(fmt.Sprintf("%d folds, rows", f.K), f.Rows, f.Metrics)
		if s := f.Segments; s != nil {
			add(fmt.Sprintf("%d folds, segments", f.K), s.Segments, s.Metrics)
		}
	}
	g.Print(a.App)
}

// printIntervals shows how sure the held-out rows' metrics are.
func (a *app) printIntervals(r metric.Report) {
	if r.Intervals == nil {
		return
	}
	var parts []string
	for _, m := range shownMetrics[KindOf(r)] {
		if i, ok := r.Intervals.Metrics[m[1]]; ok {
			parts = append(parts, fmt.Sprintf("%s %.3f to %.3f", m[0], i.Low, i.High))
		}
	}
	if len(parts) > 0 {
		a.Printf("%.0f %% intervals over %s groups: %s\n", 100*r.Intervals.Level, console.Count(r.Intervals.Groups), strings.Join(parts, ", "))
	}
}

// ClassNames are those of class 0 and class 1.
func ClassNames(r metric.Report) []string {
	if len(r.ClassNames) == 2 {
		return r.ClassNames
	}
	return []string{"0", "1"}
}

func (a *app) printConfusion(r metric.Report) {
	c, names := r.Confusion, ClassNames(r)
	g := console.NewGrid("held-out rows", ">predicted "+names[1], ">predicted "+names[0])
	g.Add("are "+names[1], console.Count(c.TruePositives), console.Count(c.FalseNegatives))
	g.Add("are "+names[0], console.Count(c.FalsePositives), console.Count(c.TrueNegatives))
	g.Print(a.App)
}

// printThresholds shows every fourth threshold, of which 0.5 is one.
func (a *app) printThresholds(r metric.Report) {
	if len(r.Thresholds) == 0 {
		return
	}
	a.Printf("\n")
	g := console.NewGrid(">threshold", ">predicted "+ClassNames(r)[1], ">precision", ">recall", ">f1", ">accuracy")
	for i, c := range r.Thresholds {
		if i%4 == 1 {
			g.Add(fmt.Sprintf("%.2f", c.Threshold), console.Count(c.Predicted), optional(c.Precision), optional(c.Recall), optional(c.F1), fmt.Sprintf("%.3f", c.Accuracy))
		}
	}
	g.Print(a.App)
}

func optional(v *float64) string {
	if v == nil {
		return "–"
	}
	return strconv.FormatFloat(*v, 'f', 3, 64)
}

// printLift shows the tiers at the top, and half of the rows.
func (a *app) printLift(tiers []metric.Tier) {
	if len(tiers) < 10 {
		return
	}
	a.Printf("\n")
	g := console.NewGrid("likeliest rows", ">from", ">positives found", ">lift")
	for _, i := range []int{0, 1, 2, 4} {
		t := tiers[i]
		g.Add(fmt.Sprintf("top %d %%", 10*(i+1)), fmt.Sprintf("%.3f", t.Probability), fmt.Sprintf("%.0f %%", 100*t.Gain), fmt.Sprintf("%.2f", t.TotalLift))
	}
	g.Print(a.App)
}

// printFoldClasses shows what a cross-validation says of each class: of segments, or of rows when there are none.
func (a *app) printFoldClasses(f *metric.Folds) {
	switch {
	case f == nil:
	case f.Segments != nil && f.Segments.Classes != nil:
		a.printClasses(fmt.Sprintf("segments of %d folds", f.K), *f.Segments.Classes)
	case f.Classes != nil:
		a.printClasses(fmt.Sprintf("rows of %d folds", f.K), *f.Classes)
	}
}

// printClasses shows each class of the judged rows against all others.
func (a *app) printClasses(judged string, c metric.Classes) {
	a.Printf("\n")
	g := console.NewGrid("class", ">"+judged, ">predicted", ">precision", ">recall", ">f1", ">auc", "taken for")
	for k, own := range c.Classes {
		g.Add(own.Class, console.Count(own.Rows), console.Count(own.Predicted), optional(own.Precision), optional(own.Recall), optional(own.F1), optional(own.AUC), takenFor(c, k))
	}
	g.Print(a.App)
}

// takenFor names the class that rows of class k are most often mistaken for.
func takenFor(c metric.Classes, k int) string {
	most := -1
	for other, n := range c.Confusion[k] {
		if other != k && n > 0 && (most < 0 || n > c.Confusion[k][most]) {
			most = other
		}
	}
	if most < 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s)", c.Classes[most].Class, console.Count(c.Confusion[k][most]))
}

func (a *app) printNumbers(n metric.Numbers) {
	a.Printf("\n")
	g := console.NewGrid("predicted from", "to", ">rows", ">mean", ">actual mean")
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
	for _, b := range n.Bins {
		g.Add(number(b.From), number(b.To), console.Count(b.Rows), number(b.Predicted), number(b.Actual))
	}
	g.Print(a.App)
	var parts []string
	for _, q := range n.Residuals {
		if q.Share == 0.05 || q.Share == 0.25 || q.Share == 0.5 || q.Share == 0.75 || q.Share == 0.95 {
			parts = append(parts, fmt.Sprintf("%.0f %%: %s", 100*q.Share, number(q.Value)))
		}
	}
	a.Printf("actual less predicted, quantiles: %s\n", strings.Join(parts, ", "))
}

// printImportance shows the features whose loss hurts most.
func (a *app) printImportance(r metric.Report, most int) {
	lost := map[metric.Kind]string{metric.Binary: ">AUC lost without it", metric.Multiclass: ">log loss won without it", metric.Regression: ">R² lost without it",
		metric.Clustering: ">rows moved when shuffled"}
	g := console.NewGrid("feature", lost[KindOf(r)], ">share in training")
	total, shuffled := 0.0, false
	for _, f := range r.Importance {
		total += f.Gain
		shuffled = shuffled || f.Permutation != 0
	}
	for _, f := range r.Importance[:min(most, len(r.Importance))] {
		share := "–"
		if total > 0 {
			share = fmt.Sprintf("%.0f %%", 100*f.Gain/total)
		}
		without := fmt.Sprintf("%.4f", f.Permutation)
		if r.Inside && !shuffled { // too large for SQL, or of a time when the database did not shuffle
			without = "–"
		}
		g.Add(f.Feature, without, share)
	}
	g.Print(a.App)
}

// printDependence shows what the model predicts on average at a feature's lowest and highest value, of texts at those with
// the least and the most. Of several classes it is the one that moves farthest.
func (a *app) printDependence(r metric.Report, most int) {
	for _, d := range r.Dependence[:min(most, len(r.Dependence))] {
		if len(d.Points) < 2 {
			continue
		}
		output := farthest(d.Points)
		low, high := d.Points[0], d.Points[len(d.Points)-1]
		if low.Level != "" || high.Level != "" {
			for _, p := range d.Points {
				if p.Outputs[output] < low.Outputs[output] {
					low = p
				}
				if p.Outputs[output] > high.Outputs[output] {
					high = p
				}
			}
		}
		of := ""
		if r.Classes != nil {
			of = " of " + r.Classes.Classes[output].Class
		}
		a.Printf("%s: %s%s at %s, %s at %s\n", d.Feature, shortNumber(low.Outputs[output]), of, pointName(low), shortNumber(high.Outputs[output]), pointName(high))
	}
}

// farthest gives the output whose mean differs most between points.
func farthest(points []metric.DependencePoint) int {
	best, most := 0, -1.0
	for output := range points[0].Outputs {
		low, high := points[0].Outputs[output], points[0].Outputs[output]
		for _, p := range points {
			low, high = min(low, p.Outputs[output]), max(high, p.Outputs[output])
		}
		if high-low > most {
			best, most = output, high-low
		}
	}
	return best
}

func pointName(p metric.DependencePoint) string {
	if p.Level != "" {
		return strconv.Quote(p.Level)
	}
	return shortNumber(p.Value)
}

func shortNumber(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
