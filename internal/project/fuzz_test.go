package project

import (
	"testing"

	"damson/internal/project/declare"
	"damson/internal/project/source"
)

// FuzzStarlark looks for declarations that crash the reader.
func FuzzStarlark(f *testing.F) {
	f.Add("p = pipeline(name = \"p\")\np.load(\"a\", files = [\"x.csv\"], into = \"a.b\") >> p.sql(\"x\")\n")
	f.Add("m = model(name = \"m\", algorithm = random_forest(bins = 3), id = \"i\", target = \"y\", gates = [1])\n")
	f.Add("p = pipeline(name = \"p\", on = [dataset(\"a.b\")])\ng = p.group(\"g\")\ng.shell(\"a\", command = \"{{ item }}\").map(over = [1]) >> g.branch(\"b\", choose = \"a\") >> g\n")
	f.Add("p = pipeline(name = \"p\")\np.sensor(\"a\", pipeline = p, offset = \"-1d\") >> p.trigger(\"b\", pipeline = \"p\", params = {1: 2})\n")
	f.Fuzz(func(t *testing.T, text string) {
		declared := declare.Read([]*source.File{{Path: "pipelines/p.star", Text: text}}, declare.Options{Steps: 10_000})
		l := &loader{project: &Project{}, tree: &source.Tree{Broken: map[string]bool{}}, templates: parseTemplates(&source.Tree{})}
		l.check(declared)
	})
}

// FuzzConfig looks for a damson.yaml that crashes the reader.
func FuzzConfig(f *testing.F) {
	f.Add("name: a\nenvironments: {dev: {warehouse: \"${env:A:-x}\", memory: 4GB, vars: {a: [1, {b: .nan}]}}}\n")
	f.Add("defaults: {retries: 1}\nconnections: {a: {port: 1, extra: {x: y}}}\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := &Project{Dir: "/p"}
		readConfig(text, p, Options{Getenv: func(string) (string, bool) { return "v", true }, ReadFile: func(string) ([]byte, error) { return nil, nil }})
	})
}
