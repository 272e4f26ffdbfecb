package metric

import "math"

// Point is one point of a curve, and the threshold from which rows are predicted positive there. A ROC curve has the
// false positive rate on X and the true positive rate on Y, a PR curve recall on X and precision on Y.
type Point struct {
	X         float64 `json:"x"`
	Y         float64 `json:"y"`
	Threshold float64 `json:"threshold"`
}

// Curve holds the counts at every distinct probability, from which all threshold metrics follow.
type Curve struct {
	positives, negatives int64
	steps                []step
}

// step counts the rows whose probability is at least threshold.
type step struct {
	threshold   float64
	true, false int64
}

// NewCurve counts once for all of AUC, AveragePrecision, ROC and PR.
func NewCurve(probabilities []float64, labels []uint8) Curve {
	same(len(probabilities), len(labels))
	var c Curve
	order := byProbability(probabilities)
	for i, r := range order {
		if labels[r] == 1 {
			c.positives++
		} else {
			c.negatives++
		}
		if i+1 == len(order) || probabilities[order[i+1]] != probabilities[r] {
			c.steps = append(c.steps, step{probabilities[r], c.positives, c.negatives})
		}
	}
	return c
}

// AUC is the probability that a positive row has a higher probability than a negative one, ties counting half (the
// Mann–Whitney statistic: J. Hanley and B. McNeil 1982). NaN when a class is missing.
func (c Curve) AUC() float64 {
	if c.positives == 0 || c.negatives == 0 {
		return math.NaN()
	}
	twice := 0.0 // pairs won, doubled: an integer, and exact below 2⁵³
	var before step
	for _, s := range c.steps {
		twice += float64(s.false-before.false) * float64(s.true+before.true)
		before = s
	}
	return twice / (2 * float64(c.positives) * float64(c.negatives))
}

// AveragePrecision is the mean of the precisions at each threshold, weighted by the recall gained there: the area under
// the precision-recall curve without interpolation. NaN without positives.
func (c Curve) AveragePrecision() float64 {
	if c.positives == 0 {
		return math.NaN()
	}
	total := 0.0
	var before step
	for _, s := range c.steps {
		gained := float64(s.true-before.true) / float64(c.positives)
		total += float64(gained * float64(s.true) / float64(s.true+s.false))
		before = s
	}
	return total
}

// ROC gives at most limit points from (0,0) to (1,1), none when a class is missing. The first threshold, above all
// probabilities, is written as 2 because JSON knows no infinity.
func (c Curve) ROC(limit int) []Point {
	if c.positives == 0 || c.negatives == 0 {
		return []Point{}
	}
	points := []Point{{0, 0, 2}}
	for i, s := range c.steps {
		// A corner only: points inside a straight piece say nothing.
		if i+1 < len(c.steps) && straight(c.before(i), s, c.steps[i+1]) {
			continue
		}
		points = append(points, Point{float64(s.false) / float64(c.negatives), float64(s.true) / float64(c.positives), s.threshold})
	}
	return thin(points, limit)
}

// PR gives at most limit points by rising recall, none without positives.
func (c Curve) PR(limit int) []Point {
	if c.positives == 0 {
		return []Point{}
	}
	points := make([]Point, 0, len(c.steps))
	for i, s := range c.steps {
		if i > 0 && s.true == c.steps[i-1].true && i+1 < len(c.steps) {
			continue // the same recall at less precision
		}
		points = append(points, Point{float64(s.true) / float64(c.positives), float64(s.true) / float64(s.true+s.false), s.threshold})
	}
	return thin(points, limit)
}

func (c Curve) before(i int) step {
	if i == 0 {
		return step{}
	}
	return c.steps[i-1]
}

func straight(a, b, d step) bool {
	return (b.true-a.true)*(d.false-b.false) == (d.true-b.true)*(b.false-a.false)
}

// thin keeps the first and last point and others in equal distances along the curve, at most limit in all.
func thin(points []Point, limit int) []Point {
	if len(points) <= limit {
		return points
	}
	length := make([]float64, len(points))
	for i := 1; i < len(points); i++ {
		length[i] = length[i-1] + math.Abs(points[i].X-points[i-1].X) + math.Abs(points[i].Y-points[i-1].Y)
	}
	total := length[len(points)-1]
	kept := []Point{points[0]}
	for i := 1; i < len(points)-1 && len(kept) < limit-1; i++ {
		if length[i] >= total*float64(len(kept))/float64(limit-1) {
			kept = append(kept, points[i])
		}
	}
	return append(kept, points[len(points)-1])
}
