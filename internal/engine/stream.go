package engine

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// source is the blob as it comes from the wire. It remembers the first error that is not its end, so that a cut
// connection is told from a broken archive.
type source struct {
	ctx context.Context
	r   io.Reader
	n   int64
	err error
	eof bool
}

// Read reads from the blob until it ends, fails or the context is done.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.eof {
		return 0, io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	switch {
	case err == io.EOF:
		s.eof = true
	case err != nil:
		s.err = err
	}
	return n, err
}

// maxTail is how much of a blob is read beyond what the archive in it took.
const maxTail = 64 << 20

// drain reads what is left, up to maxTail. An error stays in s.err; longer reports that there is more.
func (s *source) drain() (longer bool) {
	n, _ := io.CopyN(io.Discard, s, maxTail)
	return n == maxTail && s.err == nil && !s.eof
}

// failure gives the blob's error a kind when it has none.
func (s *source) failure() error {
	switch {
	case s.ctx.Err() != nil:
		return tidewaiter.Errorf(tidewaiter.ErrCanceled, "%w", context.Cause(s.ctx))
	case tidewaiter.KindOf(s.err) == tidewaiter.ErrBug:
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "%w", s.err)
	}
	return s.err
}

// content is a layer's uncompressed stream: counted, hashed and limited.
type content struct {
	src    *source
	r      io.Reader
	closer func()
	limits Limits
	hash   hash.Hash
	n      int64
	err    error // the limit reached
}

// maxWindow is the most memory a zstd frame may ask for, 64 MiB; encoders use 8 MiB at most unless told otherwise.
const maxWindow = 64 << 20

// openLayer looks at the first bytes to tell what a blob is compressed with; media types are often wrong.
func openLayer(src *source, limits Limits) (*content, error) {
	buf := bufio.NewReaderSize(src, 64<<10)
	magic, _ := buf.Peek(6) // a shorter blob is no tar either: reading it says so
	c := &content{src: src, r: buf, closer: func() {}, limits: limits, hash: sha256.New()}
	switch {
	case hasPrefix(magic, "\x1f\x8b"):
		z, err := gzip.NewReader(buf)
		if err != nil {
			return nil, malformed(err)
		}
		c.r, c.closer = z, func() { _ = z.Close() }
	case hasPrefix(magic, "\x28\xb5\x2f\xfd"), len(magic) >= 4 && magic[0]&0xf0 == 0x50 && hasPrefix(magic[1:], "\x2a\x4d\x18"):
		z, err := zstd.NewReader(buf, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, malformed(err)
		}
		c.r, c.closer = z, z.Close
	case hasPrefix(magic, "BZh"), hasPrefix(magic, "\xfd7zXZ\x00"):
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "its compression is neither gzip nor zstd")
	}
	return c, nil
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// Read reads uncompressed bytes, hashes them and stops at the layer's limits.
func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	_, _ = c.hash.Write(p[:n]) // a hash never fails
	switch {
	case c.n > c.limits.LayerBytes:
		c.err = tidewaiter.Errorf(tidewaiter.ErrTooLarge, "it is larger than %d bytes uncompressed", c.limits.LayerBytes)
	case c.n > c.limits.RatioFrom && c.n/c.limits.Ratio > c.src.n:
		c.err = tidewaiter.Errorf(tidewaiter.ErrTooLarge, "it is more than %d times larger than its blob", c.limits.Ratio)
	}
	if c.err != nil {
		return n, c.err
	}
	return n, err
}

// finish reads what follows the archive's end, so that all of it is hashed.
func (c *content) finish() error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// explain gives an error of reading the archive its kind: the limit that was reached, the blob's own error, or a broken
// archive.
func (c *content) explain(err error) error {
	if c.err != nil {
		return c.err
	}
	if _, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return err
	}
	return malformed(err)
}

func malformed(err error) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "broken archive: %w", err)
}

func (c *content) digest() string { return "sha256:" + hex.EncodeToString(c.hash.Sum(nil)) }

func (c *content) close() { c.closer() }
