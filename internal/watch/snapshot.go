package watch

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"damson/internal/diag"
)

// A snapshot is a tar archive, compressed by zstd, of regular files sorted by name:
//
//	damson.yaml          mode 0644, no times, no owners
//	pipelines/daily.star
//	shell/fetch.sh       mode 0755 where its owner may execute it
//
// The bounds hold in both directions, so that what was packed can be unpacked.
const (
	maxFile  = 16 << 20
	maxTotal = 128 << 20
	maxFiles = 100_000
)

// packed is one file of a snapshot.
type packed struct {
	name       string
	executable bool
	data       []byte
}

// bundle is the files of one version, sorted by name: read once, so that version and archive speak of the same bytes.
type bundle []packed

// Pack makes a snapshot of the files of dir, which are relative to it. The same files give the same bytes. The error is a
// diag.Finding when a file cannot be kept.
func Pack(dir string, files []string) ([]byte, error) {
	b, err := read(dir, files)
	if err != nil {
		return nil, err
	}
	return b.archive()
}

// Unpack writes the files of a snapshot to dir, which must not exist (fs.ErrExist): beside it first, so that nobody sees
// half of them. It refuses anything but regular files with clean names inside dir, within the bounds above.
func Unpack(archive []byte, dir string) error {
	b, err := open(archive)
	if err != nil {
		return diag.Finding{
			Summary: "Snapshot is damaged", Detail: fmt.Sprintf("The stored files of this project version cannot be unpacked: %v.", err), Cause: err,
			Fix: "Clear the run without --same-version: it moves to the present version.",
		}
	}
	return b.write(dir, "")
}

// read takes the files' present contents. Symbolic links to files are followed, as loading follows them.
func read(dir string, files []string) (bundle, error) {
	refuse := func(name, detail string, cause error) (bundle, error) {
		return nil, diag.Finding{At: diag.Pos{File: name}, Summary: "File cannot be kept", Detail: name + " " + detail,
			Fix: "Mend the file, or move it out of the project's folders.", Cause: cause}
	}
	if len(files) > maxFiles {
		return refuse("", fmt.Sprintf("The project has %d files; a snapshot holds %d.", len(files), maxFiles), nil)
	}
	b, total := make(bundle, 0, len(files)), 0
	for _, name := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(full)
		switch {
		case err != nil:
			return refuse(name, "cannot be read: "+reason(err)+".", err)
		case !clean(name):
			return refuse(name, "is not a path inside the project.", nil)
		case !info.Mode().IsRegular():
			return refuse(name, "is not a file.", nil)
		case info.Size() > maxFile:
			return refuse(name, fmt.Sprintf("has more than %d MiB.", maxFile>>20), nil)
		}
		data, err := os.ReadFile(full)
		if err != nil {
			return refuse(name, "cannot be read: "+reason(err)+".", err)
		}
		if total += len(data); total > maxTotal || len(data) > maxFile {
			return refuse(name, fmt.Sprintf("makes the project's files more than %d MiB.", maxTotal>>20), nil)
		}
		b = append(b, packed{name, info.Mode()&0o100 != 0, data})
	}
	slices.SortFunc(b, func(x, y packed) int { return cmp.Compare(x.name, y.name) })
	return b, nil
}

// version is a hash over names, contents and who may execute: not over the archive, whose bytes follow the compressor.
func (b bundle) version() string {
	h := sha256.New()
	for _, f := range b {
		fmt.Fprintf(h, "%d %s %t %d\n", len(f.name), f.name, f.executable, len(f.data))
		h.Write(f.data)
	}
	return hex.EncodeToString(h.Sum(nil)[:versionDigits/2])
}

// versionDigits is enough of a hash to tell versions apart, and short enough to read aloud.
const versionDigits = 16

// isVersion keeps anything else out of paths.
func isVersion(text string) bool {
	return len(text) == versionDigits && strings.Trim(text, "0123456789abcdef") == ""
}

func (b bundle) archive() ([]byte, error) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, f := range b {
		mode := int64(0o644)
		if f.executable {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: mode}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// open reads an archive of any origin.
func open(archive []byte) (bundle, error) {
	z, err := zstd.NewReader(bytes.NewReader(archive), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var b bundle
	names, total := map[string]bool{}, 0
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			slices.SortFunc(b, func(x, y packed) int { return cmp.Compare(x.name, y.name) })
			return b, nil
		case err != nil:
			return nil, err
		case head.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%q is not a regular file", head.Name)
		case !clean(head.Name):
			return nil, fmt.Errorf("%q is not a path inside the project", head.Name)
		case names[head.Name]:
			return nil, fmt.Errorf("%q is there twice", head.Name)
		case head.Size > maxFile || total+int(head.Size) > maxTotal || len(b) == maxFiles:
			return nil, fmt.Errorf("%q makes it larger than a snapshot may be", head.Name)
		}
		data := make([]byte, head.Size)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, fmt.Errorf("%q: %w", head.Name, err)
		}
		names[head.Name], total = true, total+len(data)
		b = append(b, packed{head.Name, head.Mode&0o100 != 0, data})
	}
}

// clean reports whether name is a relative path that stays inside, in its one spelling, on every operating system.
func clean(name string) bool {
	return name != "." && path.Clean(name) == name && !strings.ContainsAny(name, "\\\x00") && filepath.IsLocal(filepath.FromSlash(name))
}

// write puts the files in place at once. Those that lie in the directory like with the same contents are linked from there:
// making a file costs some ten times what a link does, and one version differs from the next in few. like may be "".
func (b bundle) write(dir, like string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("unpack a project version to %s: %w", dir, err)
		}
	}()
	if _, err := os.Lstat(dir); err == nil {
		return fs.ErrExist
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), tempPrefix)
	if err != nil {
		return err
	}
	err = b.fill(temp, like)
	if err == nil {
		err = os.Rename(temp, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// tempPrefix marks directories that are being written, or were when their process ended.
const tempPrefix = ".unpack-"

func (b bundle) fill(dir, like string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	made := map[string]bool{}
	for _, f := range b {
		folder := filepath.Dir(filepath.Join(dir, filepath.FromSlash(f.name)))
		if made[folder] {
			continue
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		made[folder] = true
	}
	var g errgroup.Group
	for part := range slices.Chunk(b, max(1, (len(b)+fillers-1)/fillers)) {
		g.Go(func() error {
			for _, f := range part {
				if err := f.put(dir, like); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// fillers is how many files are made at a time: the system is what takes long.
const fillers = 8

// put makes the file in dir.
func (f *packed) put(dir, like string) error {
	name, mode := filepath.FromSlash(f.name), fs.FileMode(0o644)
	if f.executable {
		mode = 0o755
	}
	full := filepath.Join(dir, name)
	if like != "" && f.lies(filepath.Join(like, name)) && os.Link(filepath.Join(like, name), full) == nil {
		return nil
	}
	return os.WriteFile(full, f.data, mode)
}

// lies reports whether the file is there with its contents: what lies in a version's directory may have been changed.
func (f *packed) lies(full string) bool {
	info, err := os.Lstat(full)
	if err != nil || !info.Mode().IsRegular() || f.executable != (info.Mode()&0o100 != 0) || info.Size() != int64(len(f.data)) {
		return false
	}
	data, err := os.ReadFile(full)
	return err == nil && bytes.Equal(data, f.data)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// reason drops operation and machine path from a file error.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
