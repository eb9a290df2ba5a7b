package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// headSize is how much of a file is looked at before deciding to read it.
const headSize = 512

// file is a file of the layer a parser can read at will: in memory, or spooled when it is large.
type file struct {
	path  string
	size  int64
	at    io.ReaderAt
	spool string // its name on disk; "" when it is in memory
	free  func() // gives back what it is held in; nil when that is the walker's own buffer
}

// reader returns a new reader of the whole file. It fails once ctx is done, so that a parser that ran out of time ends.
func (f *file) reader(ctx context.Context) *parserReader {
	return &parserReader{SectionReader: io.NewSectionReader(f.at, 0, f.size), ctx: ctx}
}

// close gives back what the file is held in. It must not be read any more.
func (f *file) close() {
	if f.free != nil {
		f.free()
	}
}

type parserReader struct {
	*io.SectionReader
	ctx context.Context
}

func (r *parserReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.SectionReader.Read(p)
}

func (r *parserReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.SectionReader.ReadAt(p, off)
}

// smallFile is the largest file, in bytes, read into the buffer a walker reuses from file to file.
const smallFile = 1 << 20

// buffers holds walkers' buffers for the next analysis.
var buffers = sync.Pool{New: func() any { return new([smallFile]byte) }}

// close gives the walker's buffer back.
func (w *walker) close() {
	if w.buf != nil {
		buffers.Put(w.buf)
	}
}

// peek reads a file's first bytes.
func (w *walker) peek(r io.Reader, size int64) (string, error) {
	var head [headSize]byte
	n, err := io.ReadFull(r, head[:min(size, headSize)])
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", io.ErrUnexpectedEOF // the archive is shorter than it says
	}
	return string(head[:n]), err
}

// load reads a file, whose size is within its kind's limit, into memory or the spool. What it reads into memory is valid
// until the next load.
func (w *walker) load(p string, size int64, r io.Reader, k *kind) (*file, error) {
	if size > w.limits.Memory || k.onDisk {
		return w.toSpool(p, size, r)
	}
	f := &file{path: p, size: size}
	var b []byte
	if size <= smallFile {
		if w.buf == nil {
			w.buf = buffers.Get().(*[smallFile]byte) //nolint:forcetypeassert // the pool holds nothing else
		}
		b = w.buf[:size]
	} else {
		var err error
		if b, f.free, err = allocate(int(size)); err != nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrTransient, "memory for a file of %d bytes: %w", size, err)
		}
	}
	f.at = bytes.NewReader(b)
	if _, err := io.ReadFull(r, b); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// toSpool writes a file to disk, for the kinds and sizes that need it.
func (w *walker) toSpool(p string, size int64, r io.Reader) (*file, error) {
	disk, err := os.CreateTemp(w.engine.spool, "tidewaiter-layer-*")
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTransient, "spool: %w", err)
	}
	f := &file{path: p, size: size, at: disk, spool: disk.Name(), free: func() {
		_ = disk.Close()
		_ = os.Remove(disk.Name()) // what is left is a file in a directory of temporary ones
	}}
	n, err := io.Copy(disk, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		f.close()
		if _, ours := errors.AsType[*os.PathError](err); ours {
			return nil, tidewaiter.Errorf(tidewaiter.ErrTransient, "spool: %w", err)
		}
		return nil, err
	}
	return f, nil
}
