package project

import (
	"encoding/json"
	"net/url"
	"slices"
	"sort"
	"strings"
)

// mask stands wherever a secret is shown.
const mask = "******"

// Secret is a text of damson.yaml that may hold secret parts. Reveal gives the text; every other way of showing it gives
// the text with ****** in place of what came from ${env:…} or ${file:…}.
type Secret struct {
	value, shown string
}

// Plain gives a Secret without secret parts.
func Plain(text string) Secret { return Secret{value: text, shown: text} }

// Reveal gives the whole text. It is for the place that needs it (a connection, a rendered template), never for people.
func (s Secret) Reveal() string { return s.value }

// String gives the text with its secret parts masked.
func (s Secret) String() string { return s.shown }

// GoString masks as String does, for %#v.
func (s Secret) GoString() string { return s.shown }

// MarshalJSON writes the masked text.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.shown) }

// IsZero reports whether there is no text at all.
func (s Secret) IsZero() bool { return s == Secret{} }

// IsSecret reports whether a part of the text is secret.
func (s Secret) IsSecret() bool { return s.value != s.shown }

// shortestRedacted is the length from which a secret is removed from texts: shorter ones would tear holes into innocent
// words and tell nobody anything.
const shortestRedacted = 3

// Redact gives text with every secret value of the project replaced by ******, also where it stands percent-encoded as in
// a URL. Logs, errors and reports go through it.
func (p *Project) Redact(text string) string {
	if p == nil || p.redactor == nil {
		return text
	}
	return p.redactor.Replace(text)
}

// RedactCut is Redact for a text whose end was cut off, maybe in the middle of a secret: what stands at its end and begins a secret, of
// the project or one of the others, is removed as well.
func (p *Project) RedactCut(text string, others ...string) string {
	text = strings.TrimRight(p.Redact(text), "\uFFFD") // what is left of a character
	secrets := others
	if p != nil {
		secrets = slices.Concat(p.secrets, others)
	}
	begun := 0
	for _, secret := range secrets {
		for n := min(len(secret)-1, len(text)); n > begun && n >= shortestRedacted; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				begun = n
			}
		}
	}
	if begun == 0 {
		return text
	}
	return text[:len(text)-begun] + mask
}

// keepSecrets makes Redact know these values.
func (p *Project) keepSecrets(values []string) {
	seen := map[string]bool{}
	for _, v := range values {
		for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v)} {
			if len(form) >= shortestRedacted {
				seen[form] = true
			}
		}
	}
	p.secrets = p.secrets[:0]
	for v := range seen {
		p.secrets = append(p.secrets, v)
	}
	// The longest first: a secret that is the beginning of another must not leave the rest of that one standing.
	sort.Slice(p.secrets, func(i, j int) bool {
		a, b := p.secrets[i], p.secrets[j]
		return len(a) > len(b) || len(a) == len(b) && a < b
	})
	pairs := make([]string, 0, 2*len(p.secrets))
	for _, v := range p.secrets {
		pairs = append(pairs, v, mask)
	}
	p.redactor = strings.NewReplacer(pairs...)
}
