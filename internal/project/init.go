package project

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"damson/internal/diag"
	"damson/internal/project/source"
)

//go:embed starter
var starter embed.FS

// Empty is the smallest project there is: one pipeline, one SQL file and a commented damson.yaml.
func Empty() fs.FS {
	files, err := fs.Sub(starter, "starter")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return files
}

// ignoreFile is what a file called gitignore is written as: go:embed leaves out names that begin with a dot.
const ignoreFile = ".gitignore"

// Init makes a project of files in dir, which must not exist or be empty. Nothing is left half-written: the files are
// written beside dir and moved there when all are complete. The error is a diag.Finding.
func Init(dir string, files fs.FS) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return diag.AsFinding("Making a project", err)
	}
	if err := mustBeFree(abs); err != nil {
		return err
	}
	failed := func(err error) error {
		return diag.Finding{Severity: diag.Error, Summary: "Project not written", Detail: fmt.Sprintf("%s: %s.", abs, source.PlainReason(err)),
			Fix: "Choose a directory you may write to, on a disk with room.", Cause: err}
	}
	made, err := makeParents(filepath.Dir(abs))
	if err != nil {
		removeEmpty(made)
		return failed(err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(abs), ".damson-init-")
	if err == nil {
		err = writeAll(temp, files)
	}
	if err == nil {
		err = moveInto(temp, abs)
	}
	if err != nil {
		_ = os.RemoveAll(temp)
		removeEmpty(made)
		return failed(err)
	}
	return nil
}

// mustBeFree refuses a directory that holds anything.
func mustBeFree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f := diag.Finding{Severity: diag.Error, Summary: "Directory not empty", Fix: "Choose a new directory.", Cause: err}
	switch {
	case err != nil:
		f.Summary, f.Detail = "Not a directory to write to", fmt.Sprintf("%s: %s.", dir, source.PlainReason(err))
		return f
	case len(entries) == 0:
		return nil
	}
	f.Detail = fmt.Sprintf("%s holds %s; a new project would mix with what is there.", dir, entries[0].Name())
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err == nil {
		f.Detail = fmt.Sprintf("%s is a project already.", dir)
		f.Fix = "Work on it, or choose a new directory."
	}
	f.Cause = fs.ErrExist
	return f
}

// makeParents makes the directories above the project that are missing, and tells which it made, the deepest first.
func makeParents(dir string) (made []string, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || filepath.Dir(d) == d {
			break
		}
		made = append(made, d)
	}
	return made, os.MkdirAll(dir, 0o755)
}

func removeEmpty(dirs []string) {
	for _, d := range dirs {
		_ = os.Remove(d) // one that has been filled meanwhile stays
	}
}

// writeAll copies the files, each of them synced to disk.
func writeAll(dir string, files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if path.Base(name) == "gitignore" {
			target = filepath.Join(filepath.Dir(target), ignoreFile)
		}
		return copyFile(target, name, files)
	})
}

func copyFile(target, name string, files fs.FS) error {
	from, err := files.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err = io.Copy(to, from); err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// moveInto puts what is in temp where the project belongs: in one step when dir is new; into an empty directory that is
// there already (it may be where somebody stands) entry by entry, damson.yaml last, so that it is no project before it is
// complete.
func moveInto(temp, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.Chmod(temp, 0o755); err != nil {
			return err
		}
		return os.Rename(temp, dir)
	}
	entries, err := os.ReadDir(temp)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int {
		return cmp.Compare(btoi(a.Name() == ConfigFile), btoi(b.Name() == ConfigFile))
	})
	var moved []string
	for _, entry := range entries {
		target := filepath.Join(dir, entry.Name())
		if err := os.Rename(filepath.Join(temp, entry.Name()), target); err != nil {
			for _, done := range moved {
				_ = os.RemoveAll(done)
			}
			return err
		}
		moved = append(moved, target)
	}
	return os.Remove(temp)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
