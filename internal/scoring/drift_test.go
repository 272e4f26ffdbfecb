package scoring_test

import (
	"math"
	"strings"
	"testing"

	"damson/internal/metric"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/warehouse/warehousetest"
)

// strange are rows to be scored that differ from journeys.
const strange = `select case when i % 7 < 2 then null else cast((i * 7919 + 13) % 1009 as double precision) / 1009 end as speed,
  cast((i * 104729 + 7) % 1013 as double precision) / 500 as turns, i % 2 = 0 as paved, cast((i * 1299709 + 5) % 997 as double precision) / 997 as noise,
  case i % 9 when 0 then null when 1 then 'Atlantis' when 2 then 'Bree' when 3 then 'O''Hara' when 4 then '' else 'elsewhere' end as town
from (select cast(n as bigint) as i from generate_series(0, 9999) as s(n)) as numbers`

func TestDriftIsSeen(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t, "duckdb")
	v := trained(t, db, journeys, journey)
	drift := func(sql string) *metric.Drift {
		source := sqltext.Plain("sql/x.sql", sql)
		columns, err := db.Describe(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		d, err := scoring.Drift(t.Context(), db, v, source, columns)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if w, found := scoring.DriftWarning(v, drift(journeys)); found {
		t.Errorf("the rows that were trained on differ from themselves: %v", w)
	}
	w, found := scoring.DriftWarning(v, drift(strange))
	if !found {
		t.Fatal("nothing was found")
	}
	for _, want := range []string{"Of 10000 rows that version 3", `"turns" (PSI`, "missing in 29 %"} {
		if !strings.Contains(w.Detail, want) {
			t.Errorf("%q is not in: %s", want, w.Detail)
		}
	}
	for _, f := range drift(strange).Features {
		if f.Feature == "town" && (math.Abs(f.Unseen-1.0/9) > 0.001 || f.Names[0] != "Atlantis") {
			t.Errorf("%+v", f)
		}
	}
	if d := drift(strange + " where i < 100"); d != nil {
		t.Errorf("100 rows say %v", d)
	}
}
