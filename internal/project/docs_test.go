package project_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"damson/internal/project"
)

// TestDocs loads what docs/projects.md and docs/pipelines.md show.
func TestDocs(t *testing.T) {
	t.Parallel()
	block := func(file, language string) []string {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var blocks []string
		for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			blocks = append(blocks, m[1])
		}
		return blocks
	}
	config, declarations := block("projects.md", "yaml"), block("pipelines.md", "python")
	if len(config) != 1 || len(declarations) < 10 {
		t.Fatalf("%d YAML and %d Starlark examples", len(config), len(declarations))
	}
	files := map[string]string{"damson.yaml": config[0], "pipelines/p.star": strings.Join(declarations, "\n")}
	for _, name := range strings.Fields("fetch_daily_trajectory clean_daily_trajectory points_of_the_day small large any_rows " +
		"labels_are_there cities hosts speed turns label") {
		files["sql/"+name+".sql"] = "select 1 as x"
	}
	files["python/cluster.py"] = block("pipelines.md", "py")[0]
	dir := write(t, files)
	for _, env := range []string{"dev", "prod"} {
		_, findings := project.Load(dir, project.Options{
			Env:      env,
			Getenv:   func(string) (string, bool) { return "secret", true },
			ReadFile: func(string) ([]byte, error) { return []byte("secret\n"), nil },
		})
		if len(findings) > 0 {
			t.Errorf("environment %s:\n%s", env, findings.Error())
		}
	}
}
