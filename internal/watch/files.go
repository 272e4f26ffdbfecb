package watch

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"damson/internal/project"
)

// folders are those whose files decide what a project does, with the names that count in them; "" counts any.
var folders = []struct{ name, ext string }{
	{"lib", ".star"}, {"macros", ".sql"}, {"migrations", ".sql"}, {"pipelines", ".star"}, {"python", ""}, {"shell", ""}, {"sql", ".sql"},
}

// Files lists the files that decide what the project in dir does: damson.yaml, declarations, SQL, macros, migrations and scripts, as
// sorted paths relative to dir, with forward slashes. Hidden files are none of them. What has the name of a file and is
// none, a directory or a link to one, is listed all the same: Pack refuses it, and loading says what is wrong with it.
func Files(dir string) ([]string, error) {
	files, _, err := list(dir)
	return files, err
}

// list gives also the folders that files may appear in, dir itself first. It goes on after an error and gives the first.
func list(dir string) (files, dirs []string, err error) {
	files, dirs = []string{project.ConfigFile}, []string{"."}
	for _, folder := range folders {
		walkErr := filepath.WalkDir(filepath.Join(dir, folder.name), func(full string, d fs.DirEntry, entryErr error) error {
			rel, _ := filepath.Rel(dir, full)
			name := filepath.ToSlash(rel)
			switch {
			case entryErr != nil && d == nil: // the folder itself is not there
				return nil
			case entryErr != nil:
				if err == nil {
					err = entryErr
				}
				return nil
			case strings.HasPrefix(d.Name(), ".") || d.Name() == "__pycache__": // Python writes it while scripts run
				return skip(d)
			case d.IsDir() && (folder.ext == "" || !strings.HasSuffix(name, folder.ext)):
				dirs = append(dirs, name)
				return nil
			case strings.HasSuffix(strings.ToLower(name), folder.ext) || d.Type()&fs.ModeSymlink != 0 && isDir(full):
				files = append(files, name)
			}
			return skip(d)
		})
		if err == nil {
			err = walkErr
		}
	}
	slices.Sort(files)
	return files, dirs, err
}

// skip leaves out one entry, and all of it when it is a directory.
func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return filepath.SkipDir
	}
	return nil
}
