package project

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"damson/internal/diag"
)

// maxFileSize bounds a file of declarations or SQL. Data belongs into the warehouse.
const maxFileSize = 4 << 20

// sourceFile is one text file of the project, without byte order mark and with \n at line ends.
type sourceFile struct {
	path string // relative to the project, with forward slashes
	text string
}

// tree is the project's files by what they are for. Each list is sorted by path.
type tree struct {
	star   []*sourceFile // pipelines/ and lib/
	sql    []*sourceFile
	macros []*sourceFile
	// programs are all files under python/ and shell/: a program may use any of those beside it. Their text is as it is.
	programs []*sourceFile
	// broken are files that are there but cannot be read; their findings are in findings, and nobody calls them missing.
	broken   map[string]bool
	paths    []string // of all files, also those that could not be read
	findings diag.Findings
}

// readTree reads all files of declarations, in parallel.
func readTree(dir string) *tree {
	t := &tree{broken: map[string]bool{}}
	t.star = append(t.list(dir, "pipelines", ".star"), t.list(dir, "lib", ".star")...)
	t.sql = t.list(dir, "sql", ".sql")
	t.macros = t.list(dir, "macros", ".sql")
	t.programs = append(t.list(dir, pythonFolder, ""), t.list(dir, shellFolder, "")...)
	texts := slices.Concat(t.star, t.sql, t.macros)
	all := slices.Concat(texts, t.programs)
	problems := make([]*diag.Finding, len(all))
	parallel(len(all), func(i int) {
		if i < len(texts) {
			all[i].text, problems[i] = readText(dir, all[i].path)
			return
		}
		var data []byte
		data, problems[i] = readBytes(dir, all[i].path)
		all[i].text = string(data)
	})
	for i, f := range problems {
		if f != nil {
			t.findings = append(t.findings, *f)
			t.broken[all[i].path] = true
		}
	}
	for _, f := range all {
		t.paths = append(t.paths, f.path)
	}
	t.star, t.sql, t.macros, t.programs = t.readable(t.star), t.readable(t.sql), t.readable(t.macros), t.readable(t.programs)
	return t
}

// pythonFolder and shellFolder hold the programs of python and shell tasks.
const pythonFolder, shellFolder = "python", "shell"

// Files lists the files that decide what the project in dir does, relative to it and sorted: damson.yaml and those under
// pipelines/, lib/, sql/, macros/, python/ and shell/ that Load reads. Files that only hold secrets are not among them.
func Files(dir string) []string {
	t := &tree{broken: map[string]bool{}}
	files := []string{ConfigFile}
	for _, folder := range [][2]string{{"pipelines", ".star"}, {"lib", ".star"}, {"sql", ".sql"}, {"macros", ".sql"}, {pythonFolder, ""}, {shellFolder, ""}} {
		for _, f := range t.list(dir, folder[0], folder[1]) {
			files = append(files, f.path)
		}
	}
	slices.Sort(files)
	return files
}

func (t *tree) readable(files []*sourceFile) []*sourceFile {
	kept := files[:0]
	for _, f := range files {
		if !t.broken[f.path] {
			kept = append(kept, f)
		}
	}
	return kept
}

// list walks one folder for files with the extension. Hidden files and folders are not the project's.
func (t *tree) list(dir, folder, ext string) []*sourceFile {
	var found []*sourceFile
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
func (t *tree) entry(dir, name, ext string, d fs.DirEntry, found *[]*sourceFile) {
	mode := d.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case err != nil && strings.HasSuffix(name, ext):
			t.refuse(name, "Broken symbolic link", fmt.Sprintf("%s leads nowhere: %s.", name, plainReason(err)), "Point the link at a file, or remove it.")
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
	*found = append(*found, &sourceFile{path: name})
}

func (t *tree) refuse(name, summary, detail, fix string) {
	t.broken[name] = true
	t.findings = append(t.findings, diag.Finding{At: diag.Pos{File: name}, Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix})
}

func (t *tree) unreadable(name string, err error) {
	t.refuse(name, "Not readable", fmt.Sprintf("%s: %s.", name, plainReason(err)), "Give yourself the right to read it.")
}

// plainReason drops operation and machine path from a file error: the finding's place says them already.
func plainReason(err error) string {
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
		return finding("Not readable", fmt.Sprintf("%s: %s.", name, plainReason(err)), "Give yourself the right to read it.")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	switch {
	case err != nil:
		return finding("Not readable", fmt.Sprintf("%s: %s.", name, plainReason(err)), "Check the file and the disk it is on.")
	case len(data) > maxFileSize:
		return finding("File too large", fmt.Sprintf("%s has more than %d MiB.", name, maxFileSize>>20), "Load data with p.load(…); keep declarations, SQL and programs small.")
	}
	return data, nil
}

// readText reads one file as clean UTF-8 text, or says what is wrong with it.
func readText(dir, name string) (string, *diag.Finding) {
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

// parallel calls do(0) … do(n-1) on all processors and waits for them.
func parallel(n int, do func(i int)) {
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

// nearFile suggests the file meant by name: the same base name elsewhere, or a near spelling.
func nearFile(name string, files []*sourceFile) string {
	paths, bases := make([]string, len(files)), make([]string, len(files))
	for i, f := range files {
		paths[i], bases[i] = f.path, path.Base(f.path)
		if path.Base(name) == bases[i] {
			return f.path
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
