package model

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"damson/internal/diag"
)

// Alias is a name that people give a version, beside those that states give.
type Alias struct {
	Model  string    `json:"model"`
	Name   string    `json:"alias"`
	Number int       `json:"version"` // 0 = the name was taken away
	By     string    `json:"by"`
	Why    string    `json:"why,omitempty"`
	At     time.Time `json:"at"`
}

// reservedAliases mean something already.
var reservedAliases = []string{string(Champion), string(Candidate), string(Retired), string(Rejected)}

var (
	aliasName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	numeral   = regexp.MustCompile(`^v?[0-9]+$`)
)

// CheckAlias says why a name is no alias, nil when it may be one.
func CheckAlias(name string) error {
	switch {
	case slices.Contains(reservedAliases, name):
		return diag.Finding{Summary: "Reserved alias", Detail: fmt.Sprintf("%q names the state of a version, which approving, rejecting and rolling back change.", name),
			Fix: `Take another name, such as "challenger" or "shadow".`}
	case numeral.MatchString(name):
		return diag.Finding{Summary: "Reserved alias", Detail: fmt.Sprintf("%q is a version number.", name), Fix: `Take a name, such as "challenger" or "shadow".`}
	case !aliasName.MatchString(name):
		return diag.Finding{Summary: "Not an alias", Detail: fmt.Sprintf("%q is no name of a version.", name),
			Fix: "Use small letters, digits, _ and -, beginning with a letter, at most 63 of them."}
	}
	return nil
}

// Reference is how a version is asked for: by its number, by an alias, or else as the champion.
type Reference struct {
	Number int    // 0 = by Alias
	Alias  string // "" = the champion
}

// ParseReference reads "3" or "v3", "challenger", and "" or "champion".
func ParseReference(text string) (Reference, error) {
	if numeral.MatchString(text) {
		n, err := strconv.Atoi(strings.TrimPrefix(text, "v"))
		if err != nil || n < 1 {
			return Reference{}, diag.Finding{Summary: "Unreadable version", Detail: fmt.Sprintf("%q is not a version number.", text), Fix: "Write a number from `damson model list`, for example 3."}
		}
		return Reference{Number: n}, nil
	}
	if text == "" || text == string(Champion) {
		return Reference{}, nil
	}
	if err := CheckAlias(text); err != nil {
		f := diag.AsFinding("Unreadable version", err)
		return Reference{}, diag.Finding{Summary: "Unreadable version", Detail: f.Detail, Fix: "Write a number from `damson model list`, for example 3, an alias, or champion."}
	}
	return Reference{Alias: text}, nil
}

// String is the reference as it is written.
func (r Reference) String() string {
	switch {
	case r.Number > 0:
		return strconv.Itoa(r.Number)
	case r.Alias != "":
		return r.Alias
	}
	return string(Champion)
}

// Standing gives the aliases that hold after all moves, which come oldest first, by model and name.
func Standing(moves []Alias) []Alias {
	var out []Alias
	for i, m := range moves {
		later := slices.ContainsFunc(moves[i+1:], func(l Alias) bool { return l.Model == m.Model && l.Name == m.Name })
		if m.Number > 0 && !later {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b Alias) int { return strings.Compare(a.Model+" "+a.Name, b.Model+" "+b.Name) })
	return out
}
