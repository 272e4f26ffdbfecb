// Package source reads a project's files, and the words that its declarations share: names, durations, dates and amounts of
// memory. Its central type is Tree. It knows no pipelines and no YAML; what it cannot read becomes a finding.
package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"damson/internal/diag"
	"damson/internal/migrate"
)

// maxFileSize bounds a file of declarations or SQL. Data belongs into the warehouse.
const maxFileSize = 4 << 20

// File is one text file of the project, without byte order mark and with \n at line ends.
type File struct {
	Path string // relative to the project, with forward slashes
	Text string
}

// Tree is the project's files by what they are for. Each list is sorted by path.
type Tree struct {
	Star   []*File // pipelines/ and lib/
	SQL    []*File
	Macros []*File
	// Migrations are the .sql files under migrations/, whatever their names.
	Migrations []*File
	// Programs are all files under python/ and shell/: a program may use any of those beside it. Their text is as it is.
	Programs []*File
	// Broken are files that are there but cannot be read; their findings are in findings, and nobody calls them missing.
	Broken   map[string]bool
	Paths    []string // of all files, also those that could not be read
	Findings diag.Findings
}

// ReadTree reads all files of declarations, in parallel.
func ReadTree(dir string) *Tree {
	t := &Tree{Broken: map[string]bool{}}
	t.Star = append(t.list(dir, "pipelines", ".star"), t.list(dir, "lib", ".star")...)
	t.SQL = t.list(dir, "sql", ".sql")
	t.Macros = t.list(dir, "macros", ".sql")
	t.Migrations = t.migrations(dir)
	t.Programs = append(t.list(dir, PythonFolder, ""), t.list(dir, ShellFolder, "")...)
	texts := slices.Concat(t.Star, t.SQL, t.Macros, t.Migrations)
	all := slices.Concat(texts, t.Programs)
	problems := make([]*diag.Finding, len(all))
	Parallel(len(all), func(i int) {
		if i < len(texts) {
			all[i].Text, problems[i] = ReadText(dir, all[i].Path)
			return
		}
		var data []byte
		data, problems[i] = readBytes(dir, all[i].Path)
		all[i].Text = string(data)
	})
	for i, f := range problems {
		if f != nil {
			t.Findings = append(t.Findings, *f)
			t.Broken[all[i].Path] = true
		}
	}
	for _, f := range all {
		t.Paths = append(t.Paths, f.Path)
	}
	t.Star, t.SQL, t.Macros, t.Programs = t.readable(t.Star), t.readable(t.SQL), t.readable(t.Macros), t.readable(t.Programs)
	t.Migrations = t.readable(t.Migrations)
	return t
}

// PythonFolder and ShellFolder hold the programs of python and shell tasks.
const PythonFolder, ShellFolder = "python", "shell"

// List gives the files that decide what the project in dir does, relative to it and sorted: damson.yaml and those under
// pipelines/, lib/, sql/, macros/, migrations/, python/ and shell/ that Load reads. Files that only hold secrets are not among them.
func List(dir string) []string {
	t := &Tree{Broken: map[string]bool{}}
	files := []string{ConfigFile}
	for _, folder := range [][2]string{{"pipelines", ".star"}, {"lib", ".star"}, {"sql", ".sql"}, {"macros", ".sql"}, {PythonFolder, ""}, {ShellFolder, ""}} {
		for _, f := range t.list(dir, folder[0], folder[1]) {
			files = append(files, f.Path)
		}
	}
	for _, f := range t.migrations(dir) {
		files = append(files, f.Path)
	}
	slices.Sort(files)
	return files
}

// migrations lists the files under migrations/ that could be one: also those whose ending only another file system takes for
// .sql, because a migration that is overlooked is found too late.
func (t *Tree) migrations(dir string) []*File {
	return slices.DeleteFunc(t.list(dir, migrate.Folder, ""), func(f *File) bool { return !strings.EqualFold(path.Ext(f.Path), ".sql") })
}

func (t *Tree) readable(files []*File) []*File {
	kept := files[:0]
	for _, f := range files {
		if !t.Broken[f.Path] {
			kept = append(kept, f)
		}
	}
	return kept
}

// list walks one folder for files with the extension. Hidden files and folders are not the project's.
func (t *Tree) list(dir, folder, ext string) []*File {
	var found []*File
	_ = filepath.WalkDir(filepath.Join(dir, folder), func(full string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, full)
		name := filepath.ToSlash(rel)
		switch {
		case err != nil && name == folder && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			t.unreadable(name, err)
			return nil
		case strings.HasPrefix(d.Name(), "."), ext == "" && madeByPython(d.Name()):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			if ext != "" && strings.HasSuffix(name, ext) {
				t.refuse(name, "Directory instead of a file", fmt.Sprintf("%s is a directory; its name is one of a file.", name), "Rename it, or put the file there.")
				return filepath.SkipDir
			}
			return nil
		}
		t.entry(dir, name, ext, d, &found)
		return nil
	})
	return found
}

// madeByPython reports whether Python writes a file or folder of that name by itself.
func madeByPython(name string) bool { return name == "__pycache__" || strings.HasSuffix(name, ".pyc") }

// entry takes one directory entry that is no directory itself.
func (t *Tree) entry(dir, name, ext string, d fs.DirEntry, found *[]*File) {
	mode := d.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case err != nil && strings.HasSuffix(name, ext):
			t.refuse(name, "Broken symbolic link", fmt.Sprintf("%s leads nowhere: %s.", name, PlainReason(err)), "Point the link at a file, or remove it.")
			return
		case err != nil:
			return
		case info.IsDir():
			t.refuse(name, "Symbolic link to a directory", fmt.Sprintf("%s links to a directory; links to directories are not followed.", name), "Link to the files one by one, or copy them.")
			return
		}
		mode = info.Mode().Type()
	}
	if !strings.HasSuffix(name, ext) {
		return
	}
	if !mode.IsRegular() {
		t.refuse(name, "Not a file", fmt.Sprintf("%s is neither a file nor a directory.", name), "Put a text file there.")
		return
	}
	*found = append(*found, &File{Path: name})
}

func (t *Tree) refuse(name, summary, detail, fix string) {
	t.Broken[name] = true
	t.Findings = append(t.Findings, diag.Finding{At: diag.Pos{File: name}, Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix})
}

func (t *Tree) unreadable(name string, err error) {
	t.refuse(name, "Not readable", fmt.Sprintf("%s: %s.", name, PlainReason(err)), "Give yourself the right to read it.")
}

// PlainReason drops operation and machine path from a file error: the finding's place says them already.
func PlainReason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// readBytes reads one file as it is, or says what is wrong with it.
func readBytes(dir, name string) ([]byte, *diag.Finding) {
	finding := func(summary, detail, fix string) ([]byte, *diag.Finding) {
		return nil, &diag.Finding{At: diag.Pos{File: name}, Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix}
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return finding("Not readable", fmt.Sprintf("%s: %s.", name, PlainReason(err)), "Give yourself the right to read it.")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	switch {
	case err != nil:
		return finding("Not readable", fmt.Sprintf("%s: %s.", name, PlainReason(err)), "Check the file and the disk it is on.")
	case len(data) > maxFileSize:
		return finding("File too large", fmt.Sprintf("%s has more than %d MiB.", name, maxFileSize>>20), "Load data with p.load(…); keep declarations, SQL and programs small.")
	}
	return data, nil
}

// ReadText reads one file as clean UTF-8 text, or says what is wrong with it.
func ReadText(dir, name string) (string, *diag.Finding) {
	data, broken := readBytes(dir, name)
	if broken != nil {
		return "", broken
	}
	finding := func(at diag.Pos, summary, detail, fix string) (string, *diag.Finding) {
		return "", &diag.Finding{At: at, Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix}
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return finding(diag.Pos{File: name}, "Not UTF-8", fmt.Sprintf("%s is encoded as UTF-16.", name), "Save it as UTF-8.")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if i := badByte(data); i >= 0 {
		line := 1 + bytes.Count(data[:i], []byte{'\n'})
		col := 1 + utf8.RuneCount(data[bytes.LastIndexByte(data[:i], '\n')+1:i])
		return finding(diag.Pos{File: name, Line: line, Col: col}, "Not a text file",
			fmt.Sprintf("%s has the byte 0x%02x here, which no UTF-8 text has.", name, data[i]), "Save it as UTF-8 text.")
	}
	text := string(data)
	if strings.Contains(text, "\r\n") {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	return text, nil
}

// badByte gives the place of the first byte that no text has, or -1.
func badByte(data []byte) int {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i
	}
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

// Parallel calls do(0) … do(n-1) on all processors and waits for them.
func Parallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range min(n, workers()) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wg.Wait()
}

// Near suggests the file meant by name: the same base name elsewhere, or a near spelling.
func Near(name string, files []*File) string {
	paths, bases := make([]string, len(files)), make([]string, len(files))
	for i, f := range files {
		paths[i], bases[i] = f.Path, path.Base(f.Path)
		if path.Base(name) == bases[i] {
			return f.Path
		}
	}
	if near := diag.Nearest(name, paths); near != "" {
		return near
	}
	if near := diag.Nearest(path.Base(name), bases); near != "" {
		for i, b := range bases {
			if b == near {
				return paths[i]
			}
		}
	}
	return ""
}

// workers is how many goroutines share work that needs only the processor.
func workers() int { return runtime.GOMAXPROCS(0) }
