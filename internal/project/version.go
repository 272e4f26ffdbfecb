package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/source"
	"damson/internal/template"
)

// versions gives every pipeline its content hash (invariant 3), and the project one over all of them, its models and its pools.
func (l *loader) versions() {
	programs := l.programHashes()
	source.Parallel(len(l.pipelines), func(i int) { l.pipelines[i].Pipeline.Version = l.version(l.pipelines[i].Pipeline, programs) })
	all := sha256.New()
	for _, p := range l.project.Pipelines {
		fmt.Fprintf(all, "%s %s\n", p.Name, p.Version)
	}
	for _, m := range l.project.Models {
		hashJSON(all, withoutPlace(*m))
	}
	for _, name := range slices.Sorted(maps.Keys(l.project.Pools)) {
		fmt.Fprintf(all, "pool %s %d\n", name, l.project.Pools[name])
	}
	l.project.Version = short(all)
}

func (l *loader) version(p *pipeline.Pipeline, programs map[string]string) string {
	h := sha256.New()
	bare := *p
	bare.At, bare.Version, bare.Description = diag.Pos{}, "", ""
	bare.Tasks = make([]*pipeline.Task, len(p.Tasks))
	texts := map[string]string{} // of files used, by path; hashes of folders, by their name
	var models []string
	vars := map[string]string{} // read by name, as templates see them
	for i, t := range p.Tasks {
		task := *t
		task.At = diag.Pos{}
		bare.Tasks[i] = &task
		for _, f := range l.templates.uses(t) {
			texts[f.Path] = f.Text
			addMacros(texts, f.macros)
			l.addVars(vars, f.refs)
		}
		for _, text := range taskTexts(t) {
			if tmpl := l.templates.inline[text.text]; tmpl != nil {
				l.addVars(vars, tmpl.Names())
				addMacros(texts, macrosIn(text.text, l.templates.owners, nil))
			}
		}
		if folder := programFolder(t); folder != "" {
			texts[folder] = programs[folder]
		}
		if name := t.ModelName(); name != "" && !slices.Contains(models, name) {
			models = append(models, name)
		}
	}
	hashJSON(h, bare)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(h, "%s %d\n%s\n", name, len(texts[name]), texts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(h, "var %s %d\n%s\n", name, len(vars[name]), vars[name])
	}
	slices.Sort(models)
	for _, name := range models {
		if m := l.models[name]; m != nil {
			hashJSON(h, withoutPlace(*m))
		}
	}
	return short(h)
}

// programFolder is where a task's program stands: it may import, source or open any file beside it. "" for other kinds.
func programFolder(t *pipeline.Task) string {
	switch t.Kind {
	case pipeline.PythonTask:
		return source.PythonFolder
	case pipeline.ShellTask:
		return source.ShellFolder
	}
	return ""
}

// programHashes gives one hash over all files of each folder of programs.
func (l *loader) programHashes() map[string]string {
	hashes := map[string]string{}
	for _, folder := range []string{source.PythonFolder, source.ShellFolder} {
		h := sha256.New()
		for _, f := range l.tree.Programs {
			if strings.HasPrefix(f.Path, folder+"/") {
				fmt.Fprintf(h, "%s %d\n%s\n", f.Path, len(f.Text), f.Text)
			}
		}
		hashes[folder] = hex.EncodeToString(h.Sum(nil))
	}
	return hashes
}

// addMacros adds macro files, and those whose macros they name.
func addMacros(texts map[string]string, files []*macroFile) {
	for _, m := range files {
		if _, there := texts[m.Path]; !there {
			texts[m.Path] = m.Text
			addMacros(texts, m.macros)
		}
	}
}

// addVars adds the variables that a template reads as var.value.x or var.json.x; where the name is computed, all of them.
func (l *loader) addVars(vars map[string]string, refs []template.Ref) {
	for _, ref := range refs {
		if ref.Name != "var" {
			continue
		}
		_, rest, _ := strings.Cut(ref.Path, ".")
		name, _, _ := strings.Cut(rest, ".")
		if v, ok := l.project.Vars[name]; ok {
			vars[name] = variableText(v)
		} else if name == "" || name == "get" {
			for name, v := range l.project.Vars {
				vars[name] = variableText(v)
			}
		}
	}
}

func withoutPlace(m pipeline.Model) pipeline.Model {
	m.At = diag.Pos{}
	return m
}

// hashJSON writes the canonical form of v: encoding/json sorts the keys of maps and keeps the order of fields.
func hashJSON(h hash.Hash, v any) {
	if err := json.NewEncoder(h).Encode(v); err != nil {
		panic(fmt.Sprintf("project: a declaration that JSON cannot hold: %v", err)) // plainValue lets none through
	}
}

// short is enough of a hash to tell versions apart, and short enough to read aloud.
func short(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:8]) }
