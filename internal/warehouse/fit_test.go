package warehouse_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/pipeline"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// TestFitInterval tells what becomes of one day's rows.
func TestFitInterval(t *testing.T) {
	t.Parallel()
	part := func(table, from, to string) driver.Part {
		p := driver.Part{From: from, To: to}
		if table != "" {
			p.Table = driver.Name{Schema: "geo", Table: table}
		}
		return p
	}
	day := part("d12", "2007-04-12", "2007-04-13")
	month := part("m4", "2007-04-01", "2007-05-01")
	year := part("y2007", "2007-01-01", "2008-01-01")
	for name, c := range map[string]struct {
		parts    []driver.Part
		rest     string
		size     pipeline.Native
		expected warehouse.Fit
	}{
		"its own partition":              {[]driver.Part{day}, "", pipeline.NativeDay, warehouse.Fit{Exchanged: true}},
		"none yet":                       {nil, "", pipeline.NativeDay, warehouse.Fit{Exchanged: true, Missing: []driver.Part{part("", "2007-04-12", "2007-04-13")}}},
		"a month as declared":            {[]driver.Part{month}, "", pipeline.NativeMonth, warehouse.Fit{}},
		"a month that is missing":        {nil, "", pipeline.NativeMonth, warehouse.Fit{Missing: []driver.Part{part("", "2007-04-01", "2007-05-01")}}},
		"a year where days are declared": {[]driver.Part{year}, "", pipeline.NativeDay, warehouse.Fit{Odd: []driver.Part{year}}},
		"without bounds":                 {[]driver.Part{part("all", "", "")}, "", pipeline.NativeDay, warehouse.Fit{Odd: []driver.Part{part("all", "", "")}}},
		"the default partition":          {nil, "rest", pipeline.NativeDay, warehouse.Fit{Default: "rest"}},
		"a default that is not needed":   {[]driver.Part{day}, "rest", pipeline.NativeDay, warehouse.Fit{Exchanged: true}},
		"a year beside a default":        {[]driver.Part{year}, "rest", pipeline.NativeDay, warehouse.Fit{Odd: []driver.Part{year}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &driver.Layout{Column: "tdate", Type: driver.Date, Parts: c.parts, Default: c.rest}
			start := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
			got, err := warehouse.FitInterval(l, c.size, warehouse.Interval{Start: start, End: start.AddDate(0, 0, 1)})
			if d := cmp.Diff(c.expected, got); d != "" || err != nil {
				t.Errorf("%v (-want +got)\n%s", err, d)
			}
		})
	}
}
