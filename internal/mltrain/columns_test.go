package mltrain_test

import (
	"strings"
	"testing"

	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/warehousetest"
)

// TestColumnsOfManyParts are refused as features, though they are read as texts; texts, names and what is set aside are not.
func TestColumnsOfManyParts(t *testing.T) {
	t.Parallel()
	for kind, sql := range map[string]string{
		"duckdb": `select 'a' as id, 'x' as label, [1, 2] as list, {'a': 1} as struct, map {'k': 1} as map, cast('{"a": 1}' as json) as doc,
			interval 1 day as took, cast('ab' as blob) as bytes, [1, 2]::integer[2] as pair, ['x'] as aside,
			cast('red' as varchar(3)) as colour, cast('red' as enum ('red', 'blue')) as hue, uuid() as u, 1 as n, null as nothing`,
		"postgres": `select 'a' as id, 'x' as label, array[1, 2] as list, row(1, 2) as struct, cast('{"a": 1}' as jsonb) as map, cast('{"a": 1}' as json) as doc,
			interval '1 day' as took, cast('ab' as bytea) as bytes, array['x', 'y'] as pair, array['x'] as aside,
			cast('red' as varchar(3)) as colour, cast('red' as char(5)) as hue, gen_random_uuid() as u, 1 as n, null as nothing`,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			columns, err := warehousetest.Open(t, kind).Describe(t.Context(), sqltext.Plain("sql/rows.sql", sql))
			if err != nil {
				t.Fatal(err)
			}
			m := pipeline.Model{Name: "m", ID: "id", Target: "label", Exclude: []string{"ASIDE"}}
			m.At.File = "pipelines/m.star"
			err = mltrain.CheckColumns(m, columns)
			checkFinding(t, err, []string{"Feature is not a number", `"list"`, `"struct"`, `"map"`, `"doc"`, `"took"`, `"bytes"`, `"pair"`, `exclude = ["took"]`})
			for _, good := range []string{`"aside"`, `"colour"`, `"hue"`, `"u"`, `"n"`, `"nothing"`} {
				if strings.Contains(err.Error(), good) {
					t.Errorf("%s is refused:\n%v", good, err)
				}
			}
			m.Exclude = []string{"list", "struct", "map", "took", "bytes", "pair", "aside"}
			m.Target = "doc"
			checkFinding(t, mltrain.CheckColumns(m, columns), []string{"Target can not be learned", `"doc"`})
		})
	}
}
