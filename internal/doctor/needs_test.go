package doctor

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestNeeds reads from files what a project wants, and nothing that only looks like it.
func TestNeeds(t *testing.T) {
	t.Parallel()
	p := loaded(t, map[string]string{
		"damson.yaml": "name: n\nenvironments:\n  dev: {warehouse: 'postgres://h/db'}\n",
		"pipelines/p.star": `p = pipeline(name = "p")
p.sql("a", into = "geo.a")
p.sql("b")
p.sql("c", into = "geo.c", partition_by = "d", native = "month")
`,
		"sql/a.sql": "select m.crypt, cube, madlib.linregr_train('x') as l, {{ 'crosstab(1)' }} as j -- levenshtein(1)\nfrom raw.points m group by cube (x), 'similarity(1)'\n",
		"sql/b.sql": "create extension if not exists \"uuid-ossp\";\ncreate table if not exists raw.made (g geometry);\nselect '1'::HStore, St_Area(g) from raw.made;\n{% if warehouse.kind == 'x' %}select crypt('a', 'b');{% endif %}\n",
		"sql/c.sql": "select current_date as d\n",
		"migrations/V1__f.sql": "create function f() returns int as $$ return 1 $$ language 'plpythonu';\ncreate function g() returns int language plpgsql as 'begin end';\n" +
			"create function h() returns int language sql as 'select unaccent(1)';\n",
		"migrations/V2__g.greenplum.sql": "select digest('a', 'b');\n",
	})
	n := NewNeeds(p, time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC))
	var uses []string
	for _, u := range n.Uses {
		uses = append(uses, fmt.Sprintf("%s%s %s%s makes %t, maybe %t, %s", u.Extension, u.Language, u.Function, u.Type, u.Creates, u.Maybe, u.At))
	}
	if d := cmp.Diff([]string{
		"plpythonu  makes false, maybe false, migrations/V1__f.sql:1:51",
		"madlib linregr_train makes false, maybe false, sql/a.sql:1:23",
		"uuid-ossp  makes true, maybe true, sql/b.sql:1:32",
		"hstore hstore makes false, maybe true, sql/b.sql:3:13",
		"postgis st_area makes false, maybe true, sql/b.sql:3:21",
		"pgcrypto crypt makes false, maybe true, sql/b.sql:4:38",
	}, uses); d != "" {
		t.Errorf("uses (-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{"damson", "geo"}, n.Schemas()); d != "" {
		t.Errorf("schemas (-want +got)\n%s", d)
	}
	reads := fmt.Sprint(sortedTables(n.Reads))
	if reads != "[raw.points]" {
		t.Errorf("it reads %s", reads)
	}
	if len(n.Native) != 1 || n.Native[0].String() != "geo.c" || n.Native[0].Interval.Start.Format(time.DateOnly) != "2024-02-29" {
		t.Errorf("native: %+v", n.Native)
	}
}
