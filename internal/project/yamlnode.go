package project

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"damson/internal/diag"
	"damson/internal/project/source"
)

// yamlFile reads one YAML file strictly: what it does not expect becomes a finding at its line and column.
type yamlFile struct {
	path     string
	findings diag.Findings
}

// yamlErrorLine finds the line in the YAML library's own messages.
var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// countsFromZero are the messages whose line the library counts from 0: those of its parser, not of its scanner.
var countsFromZero = regexp.MustCompile(`^did not find expected (key|node content|'|<)`)

// parse gives the top node of the document, nil when the file is empty or broken.
func (y *yamlFile) parse(text string) *yaml.Node {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if err.Error() == "EOF" {
			return nil
		}
		at, message := diag.Pos{File: y.path}, err.Error()
		if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
			at.Line, _ = strconv.Atoi(m[1])
			message = m[2]
			if countsFromZero.MatchString(message) {
				at.Line++
			}
		}
		y.report(diag.Finding{At: at, Summary: "Not valid YAML", Detail: message + ".",
			Fix: "Check indentation (spaces only), colons followed by a space, and quotes around texts with special characters."})
		return nil
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		y.errorf(&more, "More than one document", "Remove the --- line and what follows it.",
			"%s holds a second YAML document; only one is read.", y.path)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	return doc.Content[0]
}

func (y *yamlFile) report(f diag.Finding) {
	f.Severity = diag.Error
	y.findings = append(y.findings, f)
}

func (y *yamlFile) at(n *yaml.Node) diag.Pos {
	return diag.Pos{File: y.path, Line: n.Line, Col: n.Column}
}

func (y *yamlFile) errorf(n *yaml.Node, summary, fix, detail string, args ...any) {
	y.report(diag.Finding{At: y.at(n), Summary: summary, Detail: fmt.Sprintf(detail, args...), Fix: fix})
}

// isNull reports whether the node says nothing: "key:" or "key: null".
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf names what a node is, for people.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!str":
		return fmt.Sprintf("the text %q", n.Value)
	case "!!bool":
		return "the boolean " + n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	}
	return fmt.Sprintf("%q", n.Value)
}

// entries walks a mapping in order. Keys must be plain and stand once; known, when given, lists the only ones allowed.
func (y *yamlFile) entries(n *yaml.Node, where string, known []string, visit func(key string, k, v *yaml.Node)) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		y.errorf(n, "Wrong type", "Write it as indented lines of the form key: value.", "%s must be a mapping, not %s.", where, kindOf(n))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		first, again := lines[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode:
			y.errorf(k, "Wrong key", "Use a plain word as the key.", "A key of %s must be a word, not %s.", where, kindOf(k))
		case again:
			y.errorf(k, "Duplicate key", "Keep one of the two.", "%q already stands in %s on line %d.", k.Value, where, first)
		case v.Kind == yaml.AliasNode || k.Value == "<<":
			y.errorf(k, "Aliases are not supported", "Write the values out.", "%q in %s refers to a YAML anchor.", k.Value, where)
		case known != nil && !slices.Contains(known, k.Value):
			y.unknownKey(k, where, known)
		default:
			visit(k.Value, k, v)
		}
		if !again {
			lines[k.Value] = k.Line
		}
	}
}

func (y *yamlFile) unknownKey(k *yaml.Node, where string, known []string) {
	fix := diag.DidYouMean(k.Value, known)
	if fix == "" {
		fix = "Remove it, or take one of: " + strings.Join(known, ", ") + "."
	}
	y.errorf(k, "Unknown key", fix, "%s has no key %q.", where, k.Value)
}

// text reads a scalar that is a text; numbers and booleans without quotes are refused where strict.
func (y *yamlFile) text(n *yaml.Node, where string) string {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!timestamp") {
		return n.Value
	}
	if isNull(n) {
		return ""
	}
	fix := "Write a text."
	if n.Kind == yaml.ScalarNode {
		fix = fmt.Sprintf("Put it in quotes: %q.", n.Value)
	}
	y.errorf(n, "Wrong type", fix, "%s must be a text, not %s.", where, kindOf(n))
	return ""
}

// whole reads a whole number of at least lowest.
func (y *yamlFile) whole(n *yaml.Node, where string, lowest int) int {
	var v int
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" && n.Decode(&v) == nil {
		if v < lowest {
			y.errorf(n, "Out of range", fmt.Sprintf("Write %d or more.", lowest), "%s is %d.", where, v)
			return lowest
		}
		return v
	}
	y.errorf(n, "Wrong type", "Write a whole number without quotes, for example 2.", "%s must be a whole number, not %s.", where, kindOf(n))
	return lowest
}

// real reads a number of at least lowest.
func (y *yamlFile) real(n *yaml.Node, where string, lowest float64) float64 {
	var v float64
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float") && n.Decode(&v) == nil && v >= lowest {
		return v
	}
	y.errorf(n, "Wrong type", fmt.Sprintf("Write a number of at least %g.", lowest), "%s must be a number of at least %g, not %s.", where, lowest, kindOf(n))
	return lowest
}

func (y *yamlFile) boolean(n *yaml.Node, where string) bool {
	var v bool
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Decode(&v) == nil {
		return v
	}
	y.errorf(n, "Wrong type", "Write true or false.", "%s must be true or false, not %s.", where, kindOf(n))
	return false
}

func (y *yamlFile) duration(n *yaml.Node, where string) time.Duration {
	if n.Kind == yaml.ScalarNode {
		d, err := source.ParseDuration(n.Value)
		if err == nil {
			return d
		}
	}
	y.errorf(n, "Not a duration", source.DurationFix, "%s must be a duration, not %s.", where, kindOf(n))
	return 0
}
