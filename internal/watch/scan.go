package watch

import (
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// coarsest is how far apart two writes may be and still have the same time, on the file systems with the coarsest clock.
const coarsest = 2 * time.Second

var seed = maphash.MakeSeed()

// files are the project's files as a scan found them, by path.
type files map[string]stamp

// stamp tells whether a file is another than before, without reading it where that can be told.
type stamp struct {
	info fs.FileInfo // nil: not there, or not readable
	// fresh: it was written so shortly before the scan that a later write may leave the same time behind. Then only its
	// content tells.
	fresh bool
	hash  uint64
}

// look takes the stamps of all files of dir, and gives the directories to listen to.
func look(dir string, before files, now time.Time) (files, []string) {
	names, dirs, _ := list(dir) // what cannot be listed is missing here, and loading reports it
	found := make(files, len(names))
	for _, name := range names {
		full := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(full)
		if err != nil {
			found[name] = stamp{}
			continue
		}
		s := stamp{info: info, fresh: info.ModTime().After(now.Add(-coarsest))}
		old := before[name]
		switch {
		case s.fresh, s.looksLike(old) && old.fresh:
			s.hash = contentHash(full, info)
		case s.looksLike(old):
			s.hash = old.hash
		}
		found[name] = s
	}
	return found, dirs
}

// looksLike compares what can be told without reading.
func (s stamp) looksLike(t stamp) bool {
	if s.info == nil || t.info == nil {
		return s.info == t.info
	}
	return os.SameFile(s.info, t.info) && s.info.ModTime().Equal(t.info.ModTime()) && s.info.Size() == t.info.Size() && s.info.Mode() == t.info.Mode()
}

// same compares with an earlier scan from which this one followed.
func (f files) same(earlier files) bool {
	if len(f) != len(earlier) {
		return false
	}
	for name, s := range f {
		old, known := earlier[name]
		if !known || !s.looksLike(old) || old.fresh && s.hash != old.hash {
			return false
		}
	}
	return true
}

func contentHash(full string, info os.FileInfo) uint64 {
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return 0
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return 0
	}
	return maphash.Bytes(seed, data)
}
