package watch_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"damson/internal/diag"
	"damson/internal/watch"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := small(t)
	write(t, dir, map[string]string{
		"lib/steps.star": "", "macros/m.sql": "", "python/a/score.py": "", "python/requirements.txt": "", "shell/fetch.sh": "",
		"migrations/V1__a.sql": "", "migrations/2.SQL": "", "migrations/README.md": "", "README.md": "", "data/x.csv": "", "sql/.hidden.sql": "", "sql/.git/x.sql": "", "sql/notes.txt": "", "pipelines/p.star.orig": "",
		"python/__pycache__/score.pyc": "", ".damson/store.sqlite": "", "tests/t.yaml": "",
		"sql/dir.sql/inside.txt": "", // a directory with a file's name is listed, for Pack to refuse
	})
	got, err := watch.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := "damson.yaml lib/steps.star macros/m.sql migrations/2.SQL migrations/V1__a.sql pipelines/p.star python/a/score.py python/requirements.txt shell/fetch.sh sql/dir.sql sql/x.sql"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	var f diag.Finding
	if _, err := watch.Pack(dir, got); !errors.As(err, &f) || f.At.File != "sql/dir.sql" {
		t.Errorf("Pack of a directory gives %v", err)
	}
}

func TestPackIsDeterministic(t *testing.T) {
	t.Parallel()
	dir := small(t)
	names := []string{"sql/x.sql", "damson.yaml", "pipelines/p.star"}
	one, err := watch.Pack(dir, names)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "damson.yaml"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(names)
	if two, err := watch.Pack(dir, names); err != nil || !bytes.Equal(one, two) {
		t.Errorf("the same files give other bytes (%v)", err)
	}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := small(t)
	write(t, dir, map[string]string{"shell/fetch.sh": "#!/bin/sh\n"})
	if err := os.Chmod(filepath.Join(dir, "shell", "fetch.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	names, err := watch.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := watch.Pack(dir, names)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "a", "b")
	if err := watch.Unpack(archive, target); err != nil {
		t.Fatal(err)
	}
	got, err := watch.Files(target)
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("unpacked %v (%v), want %v", got, err, names)
	}
	for _, name := range names {
		want, _ := os.Stat(filepath.Join(dir, name))
		is, err := os.Stat(filepath.Join(target, name))
		if err != nil || is.Size() != want.Size() || is.Mode()&0o100 != want.Mode()&0o100 {
			t.Errorf("%s is %v (%v)", name, is, err)
		}
	}
	if err := watch.Unpack(archive, target); !errors.Is(err, fs.ErrExist) {
		t.Errorf("unpacking over a directory gives %v", err)
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	dir := small(t)
	if err := os.Truncate(filepath.Join(dir, "sql", "x.sql"), 17<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "sql", "y.sql")); err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		"sql/x.sql": "more than 16 MiB", "sql/y.sql": "cannot be read", "sql": "is not a file", "sql/none.sql": "cannot be read",
		"../" + filepath.Base(dir) + "/damson.yaml": "not a path inside", "./damson.yaml": "not a path inside",
	} {
		_, err := watch.Pack(dir, []string{name})
		var f diag.Finding
		if !errors.As(err, &f) || !strings.Contains(f.Detail, why) {
			t.Errorf("Pack of %s gives %v, want a finding that says %q", name, err, why)
		}
	}
}

// archiveOf packs any headers, as somebody might who wants to do harm.
func archiveOf(t testing.TB, heads ...tar.Header) []byte {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, h := range heads {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg && h.Size < 1<<20 {
			if _, err := w.Write(make([]byte, h.Size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = w.Flush()
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1, Mode: 0o644}
	}
	large := file("large")
	large.Size = 1 << 40
	good := archiveOf(t, file("damson.yaml"))
	for name, archive := range map[string][]byte{
		"a path above":         archiveOf(t, file("damson.yaml"), file("../evil")),
		"a path through above": archiveOf(t, file("a/../../evil")),
		"an absolute path":     archiveOf(t, file("/tmp/evil")),
		"another spelling":     archiveOf(t, file("a//b")),
		"a backslash":          archiveOf(t, file(`..\evil`)),
		"the directory itself": archiveOf(t, file(".")),
		"a symbolic link":      archiveOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc"}),
		"a hard link":          archiveOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "link", Linkname: "/etc/passwd"}),
		"a directory":          archiveOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "dir/"}),
		"a device":             archiveOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "null"}),
		"the same file twice":  archiveOf(t, file("a"), file("a")),
		"a file below a file":  archiveOf(t, file("a"), file("a/b")),
		"a terabyte":           archiveOf(t, large),
		"half an archive":      good[:len(good)/2],
		"something else":       []byte("PK\x03\x04"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			if err := watch.Unpack(archive, filepath.Join(parent, "target")); err == nil {
				t.Error("it was unpacked")
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("%s was left behind", left[0])
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Size: 3, Mode: 0o755}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, archive []byte) {
		parent := t.TempDir()
		_ = watch.Unpack(archive, filepath.Join(parent, "target"))
		if entries, _ := os.ReadDir(parent); len(entries) > 1 || len(entries) == 1 && entries[0].Name() != "target" {
			t.Errorf("beside the target there is %v", entries)
		}
	})
}
