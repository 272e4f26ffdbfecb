package tree

import (
	"fmt"
	"math"
)

// Data are the rows to learn from, by column. All slices but Categories and Rows have one entry for each row. NaN is a
// missing value.
type Data struct {
	Columns    [][]float64
	Categories []int     // of each column: 0 = numbers; C > 0 = categories, whose values are 0, 1, … C-1. nil = all numbers
	Classes    int       // 0 = the target is a number; 2 … MaxClasses = it is one of so many classes
	Class      []uint8   // of each row, 0 … Classes-1
	Number     []float64 // of each row, when Classes is 0
	Keys       []Key     // of each row's identity, see KeyOf
	Rows       []int32   // the rows to use; nil = all
}

// WithRows gives the data with Rows filled in.
func (d Data) WithRows() Data {
	if d.Rows == nil {
		d.Rows = make([]int32, len(d.Keys))
		for i := range d.Rows {
			d.Rows[i] = int32(i)
		}
	}
	return d
}

// CategoriesOf is the number of categories of a column, 0 when it holds numbers.
func (d Data) CategoriesOf(f int) int {
	if d.Categories == nil {
		return 0
	}
	return d.Categories[f]
}

// Check says in words why the data cannot be learned from, or gives nil. Rows must be filled in.
func (d Data) Check() error {
	n := len(d.Keys)
	switch {
	case len(d.Columns) == 0:
		return fmt.Errorf("no features to learn from")
	case len(d.Columns) > MaxFeatures:
		return fmt.Errorf("%d features, and at most %d can be learned from", len(d.Columns), MaxFeatures)
	case d.Categories != nil && len(d.Categories) != len(d.Columns):
		return fmt.Errorf("%d numbers of categories for %d columns", len(d.Categories), len(d.Columns))
	case len(d.Rows) == 0:
		return fmt.Errorf("no rows to learn from")
	case len(d.Rows) > MaxRows:
		return fmt.Errorf("%d rows, and at most %d can be learned from", len(d.Rows), MaxRows)
	}
	for f, column := range d.Columns {
		if len(column) != n {
			return fmt.Errorf("column %d has %d values for %d rows", f, len(column), n)
		}
		if err := checkCategories(column, d.CategoriesOf(f), f, d.Rows); err != nil {
			return err
		}
	}
	if d.Classes == 0 {
		return d.checkNumbers()
	}
	return d.checkClasses()
}

func checkCategories(column []float64, categories, f int, rows []int32) error {
	if categories < 0 || categories > MaxCategories {
		return fmt.Errorf("column %d has %d categories, and at most %d can be learned from", f, categories, MaxCategories)
	}
	if categories == 0 {
		return nil
	}
	for _, r := range rows {
		if v := column[r]; v == v && !(v >= 0 && v < float64(categories) && v == math.Trunc(v)) {
			return fmt.Errorf("column %d has the category %v in row %d, and its categories are 0 to %d", f, v, r, categories-1)
		}
	}
	return nil
}

func (d Data) checkNumbers() error {
	if len(d.Number) != len(d.Keys) {
		return fmt.Errorf("%d targets for %d rows", len(d.Number), len(d.Keys))
	}
	for _, r := range d.Rows {
		if v := d.Number[r]; !(math.Abs(v) <= MaxNumber) {
			return fmt.Errorf("target %v in row %d, and only numbers up to ±%g can be learned", v, r, float64(MaxNumber))
		}
	}
	return nil
}

func (d Data) checkClasses() error {
	if d.Classes < 2 || d.Classes > MaxClasses {
		return fmt.Errorf("%d classes, and from 2 to %d can be learned", d.Classes, MaxClasses)
	}
	if len(d.Class) != len(d.Keys) {
		return fmt.Errorf("%d targets for %d rows", len(d.Class), len(d.Keys))
	}
	counts := make([]int, d.Classes)
	for _, r := range d.Rows {
		if int(d.Class[r]) >= d.Classes {
			return fmt.Errorf("target %d in row %d, and the classes are 0 to %d", d.Class[r], r, d.Classes-1)
		}
		counts[d.Class[r]]++
	}
	for k, count := range counts {
		if count == len(d.Rows) {
			return fmt.Errorf("one class only: all %d rows are of class %d", count, k)
		}
	}
	return nil
}

// FixedPoint gives the scale that turns numbers of at most the given size into integers of which n add up to less than
// 2⁶²: a power of two, so that only the rounding to an integer loses anything. It is at most 2⁴⁹ / size, and so an integer
// has up to 49 bits: half of its last one is the precision of a number. Sums of the integers are exact, and do not depend
// on the order of addition. size 0 gives 1.
func FixedPoint(size float64, n int) float64 {
	if size == 0 {
		return 1
	}
	_, exponent := math.Frexp(size) // size < 2^exponent
	bits := 62
	for 1<<(62-bits) < n {
		bits--
	}
	return math.Ldexp(1, min(bits, 49)-exponent)
}

// Fixed rounds v·scale to the nearest integer; scale comes from FixedPoint.
func Fixed(v, scale float64) int64 { return int64(float64(float64(v*scale)+RoundMagic) - RoundMagic) }

// WeightUnit is the unit that class weights are rounded to.
const WeightUnit = 1.0 / 1024

// ClassWeights turns weights of classes into whole multiples of WeightUnit, all 1 when the weights are equal or nil, so
// that what is summed up stays an integer. A weight lies between 1/1024 and 1024.
func ClassWeights(weights []float64, classes int) ([]uint64, error) {
	out := make([]uint64, classes)
	for k := range out {
		out[k] = 1
	}
	if len(weights) == 0 {
		return out, nil
	}
	if len(weights) != classes {
		return nil, fmt.Errorf("%d class weights for %d classes", len(weights), classes)
	}
	equal := true
	for k, w := range weights {
		if !(w >= WeightUnit && w <= 1/WeightUnit) {
			return nil, fmt.Errorf("class weight %v, and it must be from %v to %v", w, WeightUnit, 1/WeightUnit)
		}
		equal = equal && w == weights[0]
		out[k] = uint64(math.RoundToEven(w / WeightUnit))
	}
	if equal {
		return ClassWeights(nil, classes)
	}
	return out, nil
}
