package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers is the house's plan: a package may import only packages of lower layers. docs/ARCHITECTURE.md draws it.
var layers = map[string]int{
	"diag": 0, "clock": 0, "parallel": 0, "packed": 0, "template/datetime": 0, "pgtest": 0,
	"sqltext": 1, "template/value": 1, "process": 1, "feature": 1, "warehouse/extension": 1,
	"pipeline": 2, "run": 2, "schedule": 2, "tree": 2, "linear": 2, "cluster": 2, "metric": 2, "leak": 2, "model": 2, "plot": 2, "migrate": 2,
	"template/jinja": 2, "template/builtin": 2, "template/airflow": 2, "load/literal": 2, "load/glob": 2,
	"forest": 3, "boost": 3, "search": 3, "heldout": 3, "fold": 3, "template": 3, "warehouse/driver": 3, "store/driver": 3,
	"warehouse/rows": 3,
	"learn":          4, "mltrain/cells": 4, "pushdown": 4, "warehouse": 4, "store": 4, "store/sqlite": 4, "store/postgres": 4, "warehouse/postgres/wire": 4,
	"warehouse/duckdb": 5, "warehouse/postgres": 5,
	"warehouse/drivertest": 5, "store/storetest": 5, "warehouse/warehousetest": 6,
	"project/source": 3, "project/declare": 4,
	"project": 5, "engine": 5, "load": 5, "mltrain": 5, "scoring": 5, "series": 5, "registry": 5, "stale": 5, "citydata": 5, "migrate/history": 5,
	"tasks": 6, "watch": 6, "serve": 6, "scheduler": 6, "doctor": 6,
	"cli/console":    7,
	"cli/projectcmd": 8, "cli/querycmd": 8, "cli/runcmd": 8, "cli/migratecmd": 8, "cli/doctorcmd": 8,
	"cli/modelcmd": 9, "cli/servecmd": 9,
	"cli/democmd": 10,
	"cli":         11,
}

// TestImportsPointDown parses every package's imports and compares them with the plan.
func TestImportsPointDown(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata") {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			return nil
		}
		from, known := layers[pkg]
		if !known {
			t.Errorf("%s: package %s has no layer. Add it to the table in internal/layers_test.go and to docs/ARCHITECTURE.md.", path, pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, path, pkg, from, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkImport reports an import that goes sideways or up. Tests may use anything below cli, real databases above all.
func checkImport(t *testing.T, path, pkg string, from int, imported string) {
	name, ours := strings.CutPrefix(imported, "damson/internal/")
	if !ours || name == pkg {
		return
	}
	to, known := layers[name]
	test := strings.HasSuffix(path, "_test.go")
	concrete := name == "warehouse/duckdb" || name == "warehouse/postgres" || name == "store/sqlite" || name == "store/postgres"
	switch {
	case !known:
		t.Errorf("%s imports %s, which has no layer. Add it to the table in internal/layers_test.go.", path, name)
	case test && to < layers["cli"]:
	case to >= from:
		t.Errorf("%s (%s, layer %d) imports %s (layer %d): imports point down only. Declare the interface you need in %s, or move the shared part to a lower layer.",
			path, pkg, from, name, to, pkg)
	case concrete && pkg != "cli" && pkg != "warehouse/warehousetest":
		t.Errorf("%s imports the driver %s: only cli wires drivers. Take it as an argument.", path, name)
	}
}
