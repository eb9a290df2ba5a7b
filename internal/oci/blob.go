package oci

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const maxResumes = 4 // of one blob

// Blob opens a blob to be streamed. A Size below 0 is unknown. The reader verifies what passes: instead of io.EOF it
// returns an ErrMalformed when size or digest differ from the descriptor's, so that only content read up to io.EOF may be
// trusted. A cut connection is resumed where it stopped, at most 4 times, if the server takes Range requests; else the
// reader returns ErrTransient. Until it is closed the reader holds one of the budget's places. ctx bounds all of it.
func (r *Registry) Blob(ctx context.Context, repository string, d tidewaiter.Descriptor) (io.ReadCloser, error) {
	if err := checkRepository(repository); err != nil {
		return nil, err
	}
	h, err := newHash(d.Digest)
	if err != nil {
		return nil, err
	}
	b := &blob{
		registry: r, ctx: ctx, want: d, hash: h,
		call: call{
			method: http.MethodGet, path: repository + "/blobs/" + d.Digest, scope: scopePull(repository), blob: true,
			what: "blob " + repository + "@" + d.Digest,
		},
	}
	resp, err := r.fetch(ctx, b.call)
	if err != nil {
		return nil, err
	}
	if d.Size >= 0 && resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		resp.Body.Close()
		return nil, b.malformed("the registry sends %d bytes where the manifest says %d", resp.ContentLength, d.Size)
	}
	b.body = resp.Body
	b.total = d.Size
	if b.total < 0 {
		b.total = resp.ContentLength
	}
	return b, nil
}

// blob is a verifying, resuming reader. It is read from one goroutine.
type blob struct {
	registry *Registry
	ctx      context.Context
	call     call
	want     tidewaiter.Descriptor
	hash     hash.Hash
	body     io.ReadCloser
	total    int64 // -1 unknown
	n        int64
	resumes  int
	err      error // sticky
}

// Read implements io.Reader.
func (b *blob) Read(p []byte) (int, error) {
	for {
		if b.err != nil {
			return 0, b.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := b.body.Read(p)
		b.n += int64(n)
		b.hash.Write(p[:n])
		switch {
		case b.total >= 0 && b.n > b.total:
			b.err = b.malformed("the registry sends more than the %d bytes the manifest says", b.total)
			return 0, b.err
		case err == io.EOF && (b.total < 0 || b.n == b.total):
			b.err = b.finish()
		case err == io.EOF:
			b.err = b.resume(io.ErrUnexpectedEOF)
		case err != nil:
			b.err = b.resume(err)
		}
		if n > 0 {
			return n, nil // an error is returned by the next call
		}
	}
}

// finish returns io.EOF for content that is what was asked for.
func (b *blob) finish() error {
	algorithm, _, _ := strings.Cut(b.want.Digest, ":")
	if got := digestOf(algorithm, b.hash); got != b.want.Digest {
		return b.malformed("the content has digest %s", got)
	}
	return io.EOF
}

func (b *blob) malformed(format string, args ...any) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s: %s", b.call.what, fmt.Sprintf(format, args...))
}

// resume asks for the rest after a cut. nil means that there is a new body to read from.
func (b *blob) resume(cut error) error {
	b.body.Close()
	b.body = http.NoBody
	if cause := context.Cause(b.ctx); cause != nil {
		cut = cause
	}
	lost := prefix(b.call.what, netError(cut, b.registry.base.Host))
	if tidewaiter.KindOf(lost) != tidewaiter.ErrTransient || b.resumes >= maxResumes || b.n == 0 || b.total < 0 || b.n >= b.total {
		return lost
	}
	b.resumes++
	c := b.call
	c.rangeH = fmt.Sprintf("bytes=%d-%d", b.n, b.total-1)
	resp, err := b.registry.do(b.ctx, c)
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-%d/", b.n, b.total-1); !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			resp.Body.Close()
			return lost
		}
		b.body = resp.Body
		return nil
	case http.StatusOK, http.StatusRequestedRangeNotSatisfiable:
		resp.Body.Close()
		return lost // it does not do ranges
	}
	return b.registry.refused(b.ctx, readRefusal(resp), c.what)
}

// Close implements io.Closer. It may be called more than once.
func (b *blob) Close() error {
	if b.err == nil || errors.Is(b.err, io.EOF) {
		b.err = errors.New("read of a closed blob")
	}
	return b.body.Close()
}
