package source

import (
	"fmt"
	"regexp"
	"strings"
)

// ConfigFile is the file that makes a directory a project.
const ConfigFile = "damson.yaml"

// PlainName is what pipelines, tasks, models, environments and projects may be called. A dot stands between a pipeline and
// its task, so a name has none.
var PlainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,199}$`)

// VariableName is what templates can write after var.value, conn and params.
var VariableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// NameFix says how a PlainName is written.
const NameFix = "Use letters, digits, _ and -, beginning with a letter, at most 200 of them."

// TimezoneFix says how a time zone is written.
const TimezoneFix = `Write an IANA name such as "UTC", "Europe/Berlin" or "Asia/Shanghai".`

// MaxDepth bounds nesting, so that a hostile file cannot exhaust the stack.
const MaxDepth = 20

// IsTemplated reports whether a text of a declaration is a template.
func IsTemplated(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}

// ListNames joins names for a sentence, at most twenty of them.
func ListNames(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// WordAt reports whether a letter, digit or _ stands at i.
func WordAt(text string, i int) bool {
	if i >= len(text) {
		return false
	}
	c := text[i]
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
