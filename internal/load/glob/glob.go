// Package glob finds files by patterns, and says what is there instead where a pattern finds none. Its central type is Set. It reads
// directories, never files.
package glob

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"damson/internal/diag"
)

// File is a file that was found.
type File struct {
	Path string // where it lies
	Name string // relative to the root when it lies below, with forward slashes
}

// Set finds files by patterns in the manner of a shell: * ? [a-z] within one part of a path, ** for any number of
// directories. Wildcards leave out names that begin with a dot; ** does not follow symbolic links.
type Set struct {
	root     string // absolute
	patterns []pattern
}

// pattern is one glob, absolute, in its parts.
type pattern struct {
	text  string // as the user wrote it
	parts []string
}

// New reads patterns, which are relative to root unless absolute.
func New(root string, texts []string) (*Set, error) {
	g := &Set{root: root}
	for _, text := range texts {
		full := filepath.ToSlash(text)
		if !filepath.IsAbs(text) {
			full = path.Join(escapeGlob(filepath.ToSlash(root)), full)
		}
		p := pattern{text: text, parts: strings.Split(strings.TrimPrefix(path.Clean(full), "/"), "/")}
		for _, part := range p.parts {
			if _, err := path.Match(part, ""); err != nil {
				return nil, diag.Finding{
					Summary: "Bad glob",
					Detail:  fmt.Sprintf("%q: the part %q is not a pattern.", text, part),
					Fix:     "Use * ? [a-z] and **; write \\[ for a bracket that is part of the name.",
				}
			}
		}
		g.patterns = append(g.patterns, p)
	}
	return g, nil
}

// escapeGlob makes a path a pattern that matches itself.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// wild reports whether a part of a pattern can match more than one name.
func wild(part string) bool { return strings.ContainsAny(part, `*?[\`) }

// Matches reports whether a name, relative to the root or absolute, is one that the patterns would find.
func (g *Set) Matches(name string) bool {
	full := name
	if !path.IsAbs(name) {
		full = path.Join(filepath.ToSlash(g.root), name)
	}
	parts := strings.Split(strings.TrimPrefix(full, "/"), "/")
	for _, p := range g.patterns {
		if matchParts(p.parts, parts) {
			return true
		}
	}
	return false
}

func matchParts(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(name) + 1 {
				if matchParts(pattern[1:], name[i:]) {
					return len(pattern) > 1 || i > 0
				}
			}
			return false
		}
		if len(name) == 0 || !matchPart(pattern[0], name[0]) {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}

func matchPart(part, name string) bool {
	if wild(part) && strings.HasPrefix(name, ".") && !strings.HasPrefix(part, ".") {
		return false
	}
	ok, _ := path.Match(part, name)
	return ok
}

// Find lists the files, ordered by name, each once. Every pattern must match at least one file.
func (g *Set) Find() ([]File, error) {
	var files []File
	seen := map[string]bool{}
	for _, p := range g.patterns {
		s := search{}
		if err := s.walk("/", p.parts); err != nil {
			return nil, err
		}
		if len(s.found) == 0 {
			return nil, g.nothing(p, s)
		}
		for _, at := range s.found {
			if !seen[at] {
				seen[at] = true
				files = append(files, File{at, g.name(at)})
			}
		}
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return files, nil
}

// name gives the name under which a file's load is recorded: relative to the root when it lies below, else its path.
func (g *Set) name(at string) string {
	rel, err := filepath.Rel(g.root, at)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return filepath.ToSlash(at)
	}
	return filepath.ToSlash(rel)
}

// search is one walk for one pattern.
type search struct {
	found   []string
	deepest string // the directory of the deepest part that matched nothing, for the message
	depth   int    // of deepest, from the end of the pattern
	part    string // that part
	entries []fs.DirEntry
	stuck   bool
}

// walk looks for what parts match below dir.
func (s *search) walk(dir string, parts []string) error {
	part := parts[0]
	if !wild(part) {
		return s.step(filepath.Join(dir, part), dir, parts)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Unreadable(dir, err)
	}
	if part == "**" {
		return s.descend(dir, parts, entries)
	}
	matched := false
	for _, e := range entries {
		if matchPart(part, e.Name()) {
			matched = true
			if err := s.into(filepath.Join(dir, e.Name()), e, parts); err != nil {
				return err
			}
		}
	}
	if !matched {
		s.miss(dir, parts, entries)
	}
	return nil
}

// step follows a part without wildcards.
func (s *search) step(at, dir string, parts []string) error {
	info, err := os.Stat(at)
	if os.IsNotExist(err) {
		entries, _ := os.ReadDir(dir)
		s.miss(dir, parts, entries)
		return nil
	}
	if err != nil {
		return Unreadable(at, err)
	}
	return s.into(at, fs.FileInfoToDirEntry(info), parts)
}

// into takes an entry that matches the first of parts: a file when it is the last one, else a directory to go on in.
func (s *search) into(at string, e fs.DirEntry, parts []string) error {
	isDir := e.IsDir()
	if e.Type()&fs.ModeSymlink != 0 {
		info, err := os.Stat(at)
		if err != nil && len(parts) == 1 {
			return Unreadable(at, err)
		}
		isDir = err == nil && info.IsDir()
	}
	switch {
	case len(parts) > 1 && isDir:
		return s.walk(at, parts[1:])
	case len(parts) > 1:
		return nil
	case !isDir:
		s.found = append(s.found, at)
	case parts[0] != "*":
		return diag.Finding{
			Summary: "A directory where a file should be",
			Detail:  fmt.Sprintf("%s is a directory; load reads files.", at),
			Fix:     fmt.Sprintf("Name the files in it, for example %q, or %q with all directories below.", at+"/*", at+"/**/*"),
		}
	}
	return nil
}

// descend follows **: the rest of the pattern may begin here or in any directory below.
func (s *search) descend(dir string, parts []string, entries []fs.DirEntry) error {
	rest := parts[1:]
	if len(rest) == 0 {
		rest = []string{"*"}
	}
	if err := s.walk(dir, rest); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			if err := s.walk(filepath.Join(dir, e.Name()), append([]string{"**"}, rest...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// miss remembers where the search got furthest.
func (s *search) miss(dir string, parts []string, entries []fs.DirEntry) {
	if !s.stuck || len(parts) < s.depth {
		s.stuck, s.deepest, s.depth, s.part, s.entries = true, dir, len(parts), parts[0], entries
	}
}

// nothing is the finding for a pattern that matches no file.
func (g *Set) nothing(p pattern, s search) error {
	f := diag.Finding{
		Summary: fmt.Sprintf("No files match %q", p.text),
		Detail:  fmt.Sprintf("Looked below %s: nothing there matches.", g.root),
		Fix:     "Correct the pattern, or put the files there.",
	}
	if !s.stuck {
		return f
	}
	var names []string
	for _, e := range s.entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	f.Detail = fmt.Sprintf("In %s nothing matches %q: the directory %s.", s.deepest, s.part, contents(names))
	if near := diag.Nearest(s.part, names); near != "" {
		f.Fix = fmt.Sprintf("Did you mean %q?", near)
	}
	return f
}

// contents says in words what a directory holds.
func contents(names []string) string {
	const most = 5
	switch {
	case len(names) == 0:
		return "is empty"
	case len(names) <= most:
		return "holds " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("holds %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Unreadable is the finding for a file or directory that the system does not let us read.
func Unreadable(at string, err error) error {
	why := err.Error()
	fix := "Make it readable for the user that runs Damson, or leave it out of the glob."
	if pe, ok := err.(*fs.PathError); ok {
		why = pe.Err.Error()
	}
	return diag.Finding{Summary: "Unreadable file", Detail: fmt.Sprintf("%s: %s.", at, why), Fix: fix, Cause: err}
}

// List lists the files that a pattern finds, ordered by name: relative to root unless it is absolute, with the wildcards
// that loads have. Where nothing matches, not even a directory on the way, the list is empty.
func List(root, pattern string) ([]string, error) {
	g, err := New(root, []string{pattern})
	if err != nil {
		return nil, err
	}
	s := search{}
	if err := s.walk("/", g.patterns[0].parts); err != nil {
		return nil, err
	}
	sort.Strings(s.found)
	return slices.Compact(s.found), nil
}
