package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"

	"damson/internal/diag"
	"damson/internal/load/glob"
)

const (
	blockSize  = 1 << 20   // bytes that are read at a time
	zstdWindow = 128 << 20 // bytes of memory that a zstd file may ask for
)

// source reads files one after the other, unpacks them, and takes the checksum of what lies on the disk. It keeps its
// buffers from file to file; it is used by one goroutine.
type source struct {
	buffer []byte
	most   int // bytes that buffer may grow to
	hash   *xxh3.Hasher128
	gzip   *gzip.Reader
	zstd   *zstd.Decoder
}

func newSource() *source {
	return &source{buffer: make([]byte, blockSize), most: maxRecord, hash: xxh3.New128()}
}

func (s *source) close() {
	if s.zstd != nil {
		s.zstd.Close()
	}
}

// hashed counts and checks the bytes that pass.
type hashed struct {
	f    *os.File
	hash *xxh3.Hasher128
	n    int64
}

func (h *hashed) Read(b []byte) (int, error) {
	n, err := h.f.Read(b)
	_, _ = h.hash.Write(b[:n])
	h.n += int64(n)
	return n, err
}

// file is one file to load.
type file struct {
	path   string   // where it lies
	name   string   // relative to the root, with forward slashes: the key of what is loaded
	bytes  int64    // on disk
	fields []string // what FilenameFields takes from name
	was    *record  // the record of its last load, or nil
}

// open opens a regular file.
func open(f *file) (*os.File, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, glob.Unreadable(f.path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, glob.Unreadable(f.path, errors.New("it is not a regular file"))
	}
	in, err := os.Open(f.path)
	if err != nil {
		return nil, glob.Unreadable(f.path, err)
	}
	f.bytes = info.Size()
	return in, nil
}

// sum gives the checksum of a file's bytes.
func (s *source) sum(f *file) (string, error) {
	in, err := open(f)
	if err != nil {
		return "", err
	}
	defer in.Close()
	s.hash.Reset()
	h := &hashed{f: in, hash: s.hash}
	for {
		_, err := h.Read(s.buffer)
		if err == io.EOF {
			return s.digest(), nil
		}
		if err != nil {
			return "", glob.Unreadable(f.path, err)
		}
	}
}

// digest writes the checksum out: XXH3, 128 bits.
func (s *source) digest() string {
	sum := s.hash.Sum128().Bytes()
	return fmt.Sprintf("%x", sum[:])
}

// read hands the file's content to a parser, piece by piece, and gives the checksum.
func (s *source) read(f *file, p parser, o *out) (string, error) {
	in, err := open(f)
	if err != nil {
		return "", err
	}
	defer in.Close()
	s.hash.Reset()
	raw := &hashed{f: in, hash: s.hash}
	plain, err := s.unpack(f, raw)
	if err != nil {
		return "", err
	}
	if err := s.feed(f, plain, p, o); err != nil {
		return "", err
	}
	// Bytes behind the end of the compressed data are not unpacked, but they belong to the file.
	for {
		if _, err := raw.Read(s.buffer); err == io.EOF {
			f.bytes = raw.n
			return s.digest(), nil
		} else if err != nil {
			return "", glob.Unreadable(f.path, err)
		}
	}
}

// feed reads to the end. Whatever the parser leaves of one piece stands at the head of the next.
func (s *source) feed(f *file, plain io.Reader, p parser, o *out) error {
	if len(s.buffer) > 4*blockSize {
		s.buffer = make([]byte, blockSize)
	}
	n, first := 0, true
	for {
		last, err := s.fill(plain, &n)
		if err != nil {
			return cutFile(f, err)
		}
		from := 0
		if first {
			if from, err = mark(f, s.buffer[:n]); err != nil {
				return err
			}
			first = false
		}
		used, err := p.parse(s.buffer[from:n], last, o)
		if err != nil || last {
			return err
		}
		if used += from; used == 0 && n >= s.most {
			if used, err = p.overflow(s.buffer[:n], o); err != nil {
				return err
			}
		} else if used == 0 {
			s.buffer = append(s.buffer, make([]byte, len(s.buffer))...)
		}
		n = copy(s.buffer, s.buffer[used:n])
	}
}

// fill reads until the buffer, of which n bytes are in use, is full or the file ends.
func (s *source) fill(r io.Reader, n *int) (last bool, err error) {
	for *n < len(s.buffer) {
		got, err := r.Read(s.buffer[*n:])
		*n += got
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// mark gives the length of a UTF-8 byte order mark at the head of the content, and refuses UTF-16.
func mark(f *file, head []byte) (int, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return 3, nil
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return 0, diag.Finding{
			Summary: "A file in UTF-16",
			Detail:  fmt.Sprintf("%s begins with a UTF-16 byte order mark; load reads UTF-8.", f.path),
			Fix:     "Convert it, for example with `iconv -f UTF-16 -t UTF-8`.",
		}
	}
	return 0, nil
}

// packings are the formats that files are known by their first bytes to have, but that load does not unpack.
var packings = []struct{ magic, name, fix string }{
	{"BZh", "a bzip2 file", "Unpack it, or pack it with gzip or zstd instead."},
	{"\xfd7zXZ\x00", "an xz file", "Unpack it, or pack it with gzip or zstd instead."},
	{"PK\x03\x04", "a zip archive", "Unpack it and name the files in it."},
	{"7z\xbc\xaf", "a 7z archive", "Unpack it and name the files in it."},
	{"PAR1", "a Parquet file", `Say format = "parquet".`},
}

// unpack gives the content behind gzip and zstd, which are known by their first bytes, whatever the file's name.
func (s *source) unpack(f *file, raw io.Reader) (io.Reader, error) {
	var head [6]byte
	n, err := io.ReadFull(raw, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, glob.Unreadable(f.path, err)
	}
	magic := string(head[:n])
	whole := io.MultiReader(bytes.NewReader(head[:n]), raw)
	switch {
	case strings.HasPrefix(magic, "\x1f\x8b"):
		if s.gzip == nil {
			s.gzip = new(gzip.Reader)
		}
		if err := s.gzip.Reset(whole); err != nil {
			return nil, cutFile(f, err)
		}
		return s.gzip, nil
	case strings.HasPrefix(magic, "\x28\xb5\x2f\xfd"):
		if s.zstd == nil {
			s.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
			if err != nil {
				return nil, err
			}
		}
		if err := s.zstd.Reset(whole); err != nil {
			return nil, cutFile(f, err)
		}
		return s.zstd, nil
	}
	for _, p := range packings {
		if strings.HasPrefix(magic, p.magic) {
			return nil, diag.Finding{
				Summary: "A file that load cannot read",
				Detail:  fmt.Sprintf("%s is %s.", f.path, p.name),
				Fix:     p.fix,
			}
		}
	}
	return whole, nil
}

// cutFile is the finding for content that cannot be read to its end.
func cutFile(f *file, err error) error {
	why := err.Error()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		why = "it ends in the middle of the compressed data"
	}
	return diag.Finding{
		Summary: "A damaged file",
		Detail:  fmt.Sprintf("%s cannot be unpacked: %s.", f.path, why),
		Fix:     "Fetch the file again, or leave it out of the glob. Nothing was loaded.",
		Cause:   err,
	}
}
