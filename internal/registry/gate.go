package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"damson/internal/diag"
	"damson/internal/metric"
	"damson/internal/model"
)

// Gate is a condition that a version must meet before it goes live.
//
//	gate  = metric op sum
//	op    = ">=" | ">" | "<=" | "<"
//	sum   = ["-"] term { ("+" | "-") term }
//	term  = number | "champion." metric
//
// Metrics are those that metric.Known knows. "auc >= 0.85", "log_loss < champion.log_loss + 0.02". On the left side "paired."
// stands for what the version has more than the champion on the rows that both held out: "paired.auc.low >= -0.01".
type Gate struct {
	Expr   string
	metric string
	op     string
	right  []term
}

// term is a number, or (metric set) the champion's value of a metric, times sign.
type term struct {
	sign   float64
	number float64
	metric string
}

// ParseGate reads a gate; what is wrong comes back as a diag.Finding without a place, which is the caller's to add.
func ParseGate(text string) (Gate, error) {
	p := &gateParser{text: text, words: gateWords(text)}
	g := Gate{Expr: strings.TrimSpace(text), metric: p.take()}
	if err := p.checkLeft(g.metric); err != nil {
		return Gate{}, err
	}
	switch g.op = p.take(); g.op {
	case ">=", ">", "<=", "<":
	default:
		return Gate{}, p.fail(fmt.Sprintf("after %s comes %s, and not a comparison", g.metric, quoted(g.op)))
	}
	for first := true; first || len(p.words) > 0; first = false {
		t, err := p.term(first)
		if err != nil {
			return Gate{}, err
		}
		g.right = append(g.right, t)
	}
	return g, nil
}

// CheckGate says what is wrong with a gate's text, nil when nothing is.
func CheckGate(text string) error {
	_, err := ParseGate(text)
	return err
}

type gateParser struct {
	text  string
	words []string
}

// take gives the next word, "" at the end.
func (p *gateParser) take() string {
	if len(p.words) == 0 {
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *gateParser) fail(why string) error {
	return diag.Finding{Summary: "Bad gate", Detail: fmt.Sprintf("In the gate %q, %s.", p.text, why),
		Fix: `Write a metric, >=, >, <= or <, and a number or the champion's metric: "auc >= 0.85", "auc >= champion.auc - 0.01".`}
}

// checkLeft judges what is compared.
func (p *gateParser) checkLeft(name string) error {
	of, paired := strings.CutPrefix(name, pairedPrefix)
	if !paired {
		return p.checkMetric(name)
	}
	var names []string
	for _, k := range metric.Kinds {
		names = append(names, metric.PairedNames(k)...)
	}
	if slices.Contains(names, of) {
		return nil
	}
	fix := diag.DidYouMean(of, names)
	if fix == "" {
		fix = "Take for example paired.auc, or an end of its interval: paired.auc.low."
	}
	return diag.Finding{Summary: "Unknown metric", Detail: fmt.Sprintf("The gate %q compares %q, which no comparison on shared rows has.", p.text, name), Fix: fix}
}

func (p *gateParser) checkMetric(name string) error {
	if metric.Known(name) {
		return nil
	}
	names := metric.AllNames()
	if name == "" || !isWord(name[0]) || isDigit(name[0]) {
		return p.fail(fmt.Sprintf("%s stands where a metric should", quoted(name)))
	}
	fix := diag.DidYouMean(name, names)
	if fix == "" {
		fix = "Metrics are " + strings.Join(names, ", ") + "."
	}
	return diag.Finding{Summary: "Unknown metric", Detail: fmt.Sprintf("The gate %q compares %q, which no report has.", p.text, name), Fix: fix}
}

func (p *gateParser) term(first bool) (term, error) {
	t := term{sign: 1}
	w := p.take()
	if w == "+" || w == "-" {
		if w == "-" {
			t.sign = -1
		}
		if first && w == "+" {
			return t, p.fail(`"+" stands before the first number`)
		}
		w = p.take()
	} else if !first {
		return t, p.fail(fmt.Sprintf("%s stands where + or - should", quoted(w)))
	}
	if name, ok := strings.CutPrefix(w, "champion."); ok {
		t.metric = name
		return t, p.checkMetric(name)
	}
	number, err := strconv.ParseFloat(w, 64)
	if err != nil || w == "" || !isDigit(w[0]) && w[0] != '.' {
		return t, p.fail(fmt.Sprintf("%s stands where a number or champion.metric should", quoted(w)))
	}
	t.number = number
	return t, nil
}

func quoted(w string) string {
	if w == "" {
		return "the end"
	}
	return strconv.Quote(w)
}

// gateWords cuts a text into names, numbers, comparisons and single other characters.
func gateWords(text string) []string {
	var words []string
	for i := 0; i < len(text); {
		from := i
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case isDigit(c) || c == '.':
			for i < len(text) && (isWord(text[i]) || (text[i] == '-' || text[i] == '+') && (text[i-1] == 'e' || text[i-1] == 'E')) {
				i++
			}
		case isWord(c):
			for i < len(text) && isWord(text[i]) {
				i++
			}
		case strings.HasPrefix(text[i:], ">=") || strings.HasPrefix(text[i:], "<="):
			i += 2
		default:
			i++
		}
		words = append(words, text[from:i])
	}
	return words
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c == '_' || c == '.' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// Judge compares a report with the gate. champion is the present champion's report, nil when there is none: then a gate
// that compares with it passes. A metric that a report does not have fails the gate.
func (g Gate) Judge(report metric.Report, champion *metric.Report) model.Gate {
	value, ok := report.Value(g.metric)
	if !ok {
		return model.Gate{Expr: g.Expr, Detail: g.metric + " is not known: " + whyUnknown(report, g.metric)}
	}
	return g.judge(value, champion)
}

// judge compares a value with the gate's right side.
func (g Gate) judge(value float64, champion *metric.Report) model.Gate {
	out := model.Gate{Expr: g.Expr}
	bound, parts := 0.0, ""
	for i, t := range g.right {
		number, name, ok := t.number, "", false
		if t.metric != "" {
			if champion == nil {
				out.Passed, out.Detail = true, fmt.Sprintf("%s is %s; there is no champion to compare with", g.metric, figure(value))
				return out
			}
			if number, ok = champion.Value(t.metric); !ok {
				out.Detail = fmt.Sprintf("%s is %s, but the champion's %s is not known: %s", g.metric, figure(value), t.metric, whyUnknown(*champion, t.metric))
				return out
			}
			name = "champion's "
		}
		bound += float64(t.sign * number)
		parts += operator(i == 0, t.sign) + name + figure(number)
	}
	passed, relation := compare(value, g.op, bound)
	out.Passed, out.Detail = passed, fmt.Sprintf("%s is %s, %s %s", g.metric, figure(value), relation, figure(bound))
	if len(g.right) > 1 || g.right[0].metric != "" {
		out.Detail += " (" + parts + ")"
	}
	return out
}

func operator(first bool, sign float64) string {
	switch {
	case first && sign > 0:
		return ""
	case first:
		return "-"
	case sign > 0:
		return " + "
	}
	return " - "
}

// compare says whether the gate holds and how the numbers stand to each other.
func compare(value float64, op string, bound float64) (passed bool, relation string) {
	switch {
	case value == bound:
		return op == ">=" || op == "<=", "equal to"
	case value > bound:
		return op == ">=" || op == ">", "above"
	}
	return op == "<=" || op == "<", "below"
}

// whyUnknown explains an absent metric by its name.
func whyUnknown(report metric.Report, name string) string {
	rest, cv := strings.CutPrefix(name, "cv.")
	rest, segment := strings.CutPrefix(rest, "segment.")
	kind := cmp.Or(report.Kind, metric.Binary)
	switch {
	case slices.Contains(metric.AllNames(), name) && !slices.Contains(metric.Names(kind), name):
		return fmt.Sprintf("it is no metric of a %s model", kind)
	case kind == metric.Clustering && slices.Contains(metric.NeedTarget, rest):
		return "it needs a target"
	case cv && segment:
		return "it needs cross_validation and a segment column" + ofClasses(kind, ", and rows of ")
	case cv:
		return "it needs cross_validation" + ofClasses(kind, ", and rows of ")
	case segment:
		return "it needs a segment column" + ofClasses(kind, ", and segments of ")
	case strings.HasPrefix(rest, "weighted_") && rest != "weighted_f1":
		return "it needs a weight column"
	case strings.HasSuffix(rest, ".low"), strings.HasSuffix(rest, ".high"):
		return "it needs two groups of held-out rows, and a metric that nearly all draws of them define"
	}
	return "the held-out rows do not define it"
}

func ofClasses(k metric.Kind, what string) string {
	switch k {
	case metric.Binary:
		return what + "both classes"
	case metric.Multiclass:
		return what + "all classes"
	}
	return ""
}

func figure(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
