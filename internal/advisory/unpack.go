package advisory

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The files of a database, and all that is ever written of an archive.
const (
	databaseFile = "trivy.db"
	metadataFile = "metadata.json"
)

const (
	maxMetadata = 64 << 10
	maxEntries  = 64
	maxPadding  = 1 << 20 // after a tar's end
	maxWindow   = 128 << 20
)

// staging is the directory a database is unpacked into before it gets its name.
type staging struct {
	root        *os.Root
	maxDatabase int64
}

func (s *staging) unpackGzip(r io.Reader) error {
	z, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	if err != nil {
		return broken("is not gzipped", err)
	}
	if err := s.unpackTar(z); err != nil {
		return err
	}
	return drain(z)
}

func (s *staging) unpackZstd(r io.Reader) error {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return broken("is not compressed with zstd", err)
	}
	defer z.Close()
	if err := s.unpackTar(z); err != nil {
		return err
	}
	return drain(z)
}

// drain reads a compressed stream to its end, where its checksum is.
func drain(z io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(z, maxPadding+1))
	if err != nil {
		return broken("is cut short or damaged", err)
	}
	if n > maxPadding {
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the archive goes on after its end")
	}
	return nil
}

// unpackTar writes the two files a database consists of, whatever directory of the archive they are in. Anything else
// but directories makes the archive malformed: links, devices, other names, names that lead out of it, a file twice.
func (s *staging) unpackTar(r io.Reader) error {
	archive := tar.NewReader(r)
	for range maxEntries {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return s.complete()
		case err != nil:
			return broken("is cut short or damaged", err)
		case h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == tar.TypeDir && local(h.Name):
			continue
		case h.Typeflag != tar.TypeReg || !local(h.Name):
			return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the archive holds something an advisory database never does: %.100q", h.Name)
		}
		if err := s.write(path.Base(path.Clean(h.Name)), archive); err != nil {
			return err
		}
	}
	return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the archive holds more than %d files", maxEntries)
}

func local(name string) bool { return filepath.IsLocal(filepath.FromSlash(path.Clean(name))) }

// write makes one of the two files, which must not be there yet, and has it on the disk when it returns.
func (s *staging) write(name string, content io.Reader) (err error) {
	limit := int64(maxMetadata)
	switch name {
	case databaseFile:
		limit = s.maxDatabase
	case metadataFile:
	default:
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the archive holds something an advisory database never does: %.100q", name)
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the archive holds %s twice", name)
	} else if err != nil {
		return onDisk(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(&diskWriter{f}, io.LimitReader(content, limit+1))
	if err != nil {
		return broken("is cut short or damaged", err)
	}
	if n > limit {
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s is larger than %d bytes", name, limit)
	}
	return onDisk(f.Sync())
}

func (s *staging) complete() error {
	for _, name := range []string{databaseFile, metadataFile} {
		if info, err := s.root.Lstat(name); err != nil || info.Size() == 0 {
			return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the archive holds no %s", name)
		}
	}
	return nil
}

// broken says what is wrong with an archive, unless the error says so itself: a limit, a disk, a connection.
func broken(what string, err error) error {
	if _, known := errors.AsType[*tidewaiter.Error](err); known {
		return err
	}
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the archive %s: %w", what, err)
}

// diskWriter tells trouble with the disk from trouble with what is read.
type diskWriter struct{ f *os.File }

func (w *diskWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	return n, onDisk(err)
}

// onDisk gives an error of the file system its kind: a full disk may have room later.
func onDisk(err error) error {
	if err == nil {
		return nil
	}
	e := tidewaiter.Errorf(tidewaiter.ErrTransient, "store advisories: %w", err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		e = e.WithFix("free some space: two versions of the database are on disk while one replaces the other")
	}
	return e
}
