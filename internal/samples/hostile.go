package samples

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The samples below are what a registry that wishes harm could serve. They are no part of the catalogue.

// GzipBomb is a layer of one file of size bytes, all zero, that is a thousandth of that on the wire. It is made of many
// equal gzip members, so that making it takes time and memory for one of them only. Its diffID is not that of its content.
func GzipBomb(size int64) (Layer, error) {
	const chunk = 16 << 20
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: "zeros", Size: size, Mode: 0o644, ModTime: builtAt(), Format: tar.FormatPAX,
	}); err != nil {
		return Layer{}, fmt.Errorf("write entry: %w", err)
	}
	data, err := pack(Gzip, head.Bytes())
	if err != nil {
		return Layer{}, err
	}
	member, err := pack(Gzip, make([]byte, chunk))
	if err != nil {
		return Layer{}, err
	}
	for ; size >= chunk; size -= chunk {
		data = append(data, member...)
	}
	// What is left, filled up to a block, and the two empty blocks that end an archive.
	rest, err := pack(Gzip, make([]byte, size+(-size&511)+1024))
	if err != nil {
		return Layer{}, err
	}
	return RawLayer(Gzip, append(data, rest...), digestOf(nil)), nil
}

// Entries is a tar archive of n empty files that is made while it is read: no size is too large for memory. It is not
// packed.
func Entries(n int64) io.Reader {
	r := &entries{left: n}
	r.w = tar.NewWriter(&r.buf)
	return r
}

type entries struct {
	buf        bytes.Buffer
	w          *tar.Writer
	left, next int64
	closed     bool
}

// Read fills the buffer with some more entries whenever it is empty.
func (r *entries) Read(p []byte) (int, error) {
	if r.buf.Len() == 0 && !r.closed {
		for range min(r.left, 128) {
			h := tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("f/%d", r.next), Mode: 0o644, ModTime: builtAt()}
			if err := r.w.WriteHeader(&h); err != nil {
				return 0, err
			}
			r.next, r.left = r.next+1, r.left-1
		}
		if r.left == 0 {
			r.closed = true
			if err := r.w.Close(); err != nil {
				return 0, err
			}
		}
	}
	return r.buf.Read(p)
}

// Escapes is entries that try to leave the root, by their names and by links, each with an os-release, a package
// database or a secret a careless reader would take for the image's own; and names that trip readers and terminals.
func Escapes() []Entry {
	release := "ID=escaped\nVERSION_ID=1\n"
	return []Entry{
		File("../../etc/os-release", release),
		File("a/../../../etc/os-release", release),
		File("/../etc/os-release", release),
		Symlink("up", "../../../../etc"),
		File("up/passwd", "root::0:0::/:/bin/sh\n"),
		Symlink("etc", "/"),
		Hardlink("shadow", "../../../../etc/shadow"),
		Symlink("loop/a", "b"),
		Symlink("loop/b", "a"),
		Symlink("self", "self"),
		File(".wh...", ""),
		File(".wh.", ""),
		File("a/.wh.../b", ""),
		File("line\nbreak", ""),
		File("\x1b[31mred", ""),
		File("bad\xff\xfeutf8", ""),
		File(strings.Repeat("d/", 2000)+"deep", ""),
		File(strings.Repeat("n", 60_000), ""),
		Special(tar.TypeChar, "dev/mem", ""),
		Special(tar.TypeBlock, "dev/sda", ""),
		Special(tar.TypeFifo, "pipe", ""),
	}
}

// WrongDiffID is an image whose config promises other content for its layer than the layer holds. Registries take it:
// only who unpacks the layer can notice.
func WrongDiffID() (*Manifest, error) {
	l, err := NewLayer(Gzip, File("etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n"))
	if err != nil {
		return nil, err
	}
	return NewImage().Add(RawLayer(Gzip, l.Data, digestOf([]byte("something else")))).Build()
}

// Truncated is a layer that ends in the middle of its archive; the digest is that of what is left of it.
func Truncated() (Layer, error) {
	l, err := NewLayer(Gzip, File("etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n"), Bytes("noise", noise(64<<10)))
	if err != nil {
		return Layer{}, err
	}
	return RawLayer(Gzip, l.Data[:len(l.Data)/2], l.DiffID), nil
}

// Garbage is a layer that is no archive at all, behind a media type that says it is.
func Garbage() Layer {
	b := noise(4 << 10)
	return RawLayer(Gzip, b, digestOf(b))
}

// HugeHeader is a layer with one entry whose extended header is size bytes long, one record that a reader has to hold in
// memory as a whole.
func HugeHeader(size int) (Layer, error) {
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: "PaxHeaders.0/x", Size: int64(size), Mode: 0o644, Format: tar.FormatUSTAR,
	}); err != nil {
		return Layer{}, fmt.Errorf("write header: %w", err)
	}
	// archive/tar writes no such entry itself: change the type of the one it wrote, and the checksum with it. POSIX
	// ustar: the type is at 156, the sum of all bytes in octal at 148, with blanks in place of itself.
	h := head.Bytes()[:512]
	h[156] = tar.TypeXHeader
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))

	record := fmt.Sprintf("%d path=", size)
	record += strings.Repeat("x", size-len(record)-1) + "\n"
	archive := slices.Concat(h, []byte(record), make([]byte, -size&511))
	var entry bytes.Buffer
	w := tar.NewWriter(&entry)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Mode: 0o644}); err != nil {
		return Layer{}, fmt.Errorf("write header: %w", err)
	}
	if err := w.Close(); err != nil {
		return Layer{}, fmt.Errorf("finish archive: %w", err)
	}
	archive = append(archive, entry.Bytes()...)
	data, err := pack(Gzip, archive)
	return RawLayer(Gzip, data, digestOf(archive)), err
}

// noise is n bytes that do not compress.
func noise(n int) []byte {
	out := make([]byte, 0, n+32)
	for sum := fakeBytes("noise"); len(out) < n; sum = fakeBytes(string(sum[:])) {
		out = append(out, sum[:]...)
	}
	return out[:n]
}
