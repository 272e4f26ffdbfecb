package modelcmd

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/plot"
)

// figureKinds are the pictures of a report.
var figureKinds = []string{"roc", "pr", "calibration", "lift", "thresholds", "confusion", "segment.confusion", "cv.confusion", "cv.segment.confusion",
	"residuals", "importance", "dependence", "clusters"}

// drawVersion writes a picture of how a version was judged.
func (a *app) drawVersion(v model.Version, kind, out string) error {
	if !slices.Contains(figureKinds, kind) {
		return console.Usage("Unknown picture", fmt.Sprintf("--plot %s: pictures are %s.", kind, strings.Join(figureKinds, ", ")),
			cmp.Or(diag.DidYouMean(kind, figureKinds), "Name one of them."))
	}
	out = cmp.Or(out, v.Model+"-"+kind+".svg")
	format, err := plot.Format(out)
	if err != nil {
		return err
	}
	report, err := ReadReport(v)
	if err != nil {
		return err
	}
	figures := figuresOf(report, kind)
	if len(figures) == 0 {
		has := slices.DeleteFunc(slices.Clone(figureKinds), func(other string) bool { return len(figuresOf(report, other)) == 0 })
		return diag.Finding{Summary: "Nothing to draw", Detail: fmt.Sprintf("The report of version %d of model %q, a %s model, has no figures for --plot %s.", v.Number, v.Model, KindOf(report), kind),
			Fix: "Its pictures are " + strings.Join(has, ", ") + "."}
	}
	data, err := plot.EncodeFigures(figures, format)
	if err != nil {
		return fmt.Errorf("draw %s of version %d of model %s: %w", kind, v.Number, v.Model, err)
	}
	if err := os.WriteFile(out, data, 0o644); err != nil {
		return diag.Finding{Summary: out + " was not written", Detail: err.Error(), Fix: "Choose another place with --out.", Cause: err}
	}
	a.Printf("%s\n", out)
	return nil
}

// figuresOf gives nothing when the report has not what the picture shows.
func figuresOf(r metric.Report, kind string) []*plot.Figure {
	if kind == "dependence" {
		return dependenceOf(r)
	}
	if f := figureOf(r, kind); f != nil {
		return []*plot.Figure{f}
	}
	return nil
}

// figureOf gives nil when the report has not what the picture shows.
func figureOf(r metric.Report, kind string) *plot.Figure {
	switch {
	case kind == "roc" && len(r.ROC) > 0:
		return plot.ROC(points(r.ROC), r.Metrics["auc"])
	case kind == "pr" && len(r.PR) > 0:
		return plot.PR(points(r.PR), r.Metrics["pr_auc"], float64(r.Positives)/float64(max(r.Rows, 1)))
	case kind == "calibration" && len(r.Calibration) > 0:
		var out []plot.XY
		for _, b := range r.Calibration {
			out = append(out, plot.XY{X: b.Predicted, Y: b.Observed})
		}
		return plot.Calibration(out)
	case kind == "lift" && len(r.Lift) > 0:
		var out []plot.XY
		rows := int64(0)
		for _, t := range r.Lift {
			rows += t.Rows
			out = append(out, plot.XY{X: float64(rows) / float64(r.Rows), Y: t.Gain})
		}
		return plot.Lift(out)
	case kind == "thresholds" && len(r.Thresholds) > 0:
		return thresholdsOf(r)
	case kind == "importance" && len(r.Importance) > 0:
		return importanceOf(r)
	case kind == "clusters" && r.Clusters != nil:
		return clustersOf(*r.Clusters)
	case kind == "confusion" || strings.HasSuffix(kind, ".confusion"):
		return confusionOf(r, kind)
	case kind == "residuals" && r.Regression != nil:
		var out []plot.XY
		for _, p := range r.Regression.Points {
			out = append(out, plot.XY{X: p.Predicted, Y: p.Actual - p.Predicted})
		}
		return plot.Residuals(out)
	}
	return nil
}

// confusionOf draws what was taken for what among held-out rows, or those of the cross-validation, or segments of either.
func confusionOf(r metric.Report, kind string) *plot.Figure {
	of, two, several, segments := "held-out rows", r.Confusion, r.Classes, r.Segments
	if strings.HasPrefix(kind, "cv.") {
		if r.Folds == nil {
			return nil
		}
		of, two, several, segments = fmt.Sprintf("rows of %d folds", r.Folds.K), r.Folds.Confusion, r.Folds.Classes, r.Folds.Segments
	}
	if strings.HasSuffix(kind, "segment.confusion") {
		if segments == nil {
			return nil
		}
		of, two, several = strings.Replace(of, "rows", "segments", 1), segments.Confusion, segments.Classes
	}
	switch {
	case several != nil:
		var names []string
		for _, c := range several.Classes {
			names = append(names, c.Class)
		}
		return plot.Confusion(of, names, several.Confusion)
	case KindOf(r) == metric.Binary && two.Rows() > 0:
		return plot.Confusion(of, ClassNames(r), [][]int64{{two.TrueNegatives, two.FalsePositives}, {two.FalseNegatives, two.TruePositives}})
	}
	return nil
}

func points(curve []metric.Point) []plot.XY {
	out := make([]plot.XY, len(curve))
	for i, p := range curve {
		out[i] = plot.XY{X: p.X, Y: p.Y}
	}
	return out
}

// thresholdsOf draws what the thresholds of the report's table give.
func thresholdsOf(r metric.Report) *plot.Figure {
	curves := []plot.Curve{{Name: "precision"}, {Name: "recall"}, {Name: "F1"}, {Name: "accuracy"}}
	for _, cut := range r.Thresholds {
		for i, v := range []*float64{cut.Precision, cut.Recall, cut.F1, &cut.Accuracy} {
			if v != nil {
				curves[i].Points = append(curves[i].Points, plot.XY{X: cut.Threshold, Y: *v})
			}
		}
	}
	return plot.Thresholds(curves, r.Threshold)
}

// mostBars is how many features a picture of their importance has room for.
const mostBars = 20

// importanceOf draws what is lost without each feature, or what each was worth in training where that was not measured.
func importanceOf(r metric.Report) *plot.Figure {
	worth := map[metric.Kind]string{metric.Binary: "AUC lost when its values are shuffled", metric.Multiclass: "log loss won when its values are shuffled",
		metric.Regression: "R² lost when its values are shuffled", metric.Clustering: "share of rows moved when its values are shuffled"}[KindOf(r)]
	total := 0.0
	for _, f := range r.Importance {
		total += f.Gain
	}
	if r.Inside {
		worth = "share in training"
	}
	bars := []plot.Bar{}
	for _, f := range r.Importance[:min(mostBars, len(r.Importance))] {
		length := f.Permutation
		if r.Inside {
			length = f.Gain / total
		}
		bars = append(bars, plot.Bar{Name: f.Feature, Length: length})
	}
	return plot.Importance(bars, worth)
}

// dependenceOf draws how the mean prediction depends on the features that matter most, each in a figure of its own.
func dependenceOf(r metric.Report) []*plot.Figure {
	var figures []*plot.Figure
	for _, d := range r.Dependence {
		if len(d.Points) == 0 {
			continue
		}
		var levels []string
		texts := slices.ContainsFunc(d.Points, func(p metric.DependencePoint) bool { return p.Level != "" })
		effects := make([]plot.Effect, len(d.Points[0].Outputs))
		for at, p := range d.Points {
			x := p.Value
			if texts {
				x, levels = float64(at), append(levels, p.Level)
			}
			for output, mean := range p.Outputs {
				effects[output].Points = append(effects[output].Points, plot.XY{X: x, Y: mean})
			}
		}
		if r.Classes != nil {
			for output := range effects {
				effects[output].Output = r.Classes.Classes[output].Class
			}
		}
		figures = append(figures, plot.Dependence(d.Feature, effects, levels))
	}
	return figures
}
