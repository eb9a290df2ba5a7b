package advisory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// meter counts and hashes what is read through it, and ends with an error after limit bytes or when ctx does.
type meter struct {
	ctx   context.Context
	from  io.Reader
	limit int64
	read  int64
	sum   hash.Hash
}

func newMeter(ctx context.Context, from io.Reader, limit int64) *meter {
	return &meter{ctx: ctx, from: from, limit: limit, sum: sha256.New()}
}

// Read reads on.
func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, canceled(err)
	}
	n, err := m.from.Read(p)
	m.read += int64(n)
	m.sum.Write(p[:n])
	if m.read > m.limit {
		return 0, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the archive is larger than %d bytes", m.limit)
	}
	return n, err
}

// digest reads what is left and returns the digest of everything.
func (m *meter) digest() (string, error) {
	if _, err := io.Copy(io.Discard, m); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(m.sum.Sum(nil)), nil
}

// verify reads what is left and compares everything with the descriptor.
func (m *meter) verify(d tidewaiter.Descriptor) (string, error) {
	digest, err := m.digest()
	if err != nil {
		return "", err
	}
	if m.read != d.Size || digest != d.Digest {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "%d bytes of %s came where the manifest says %d of %s", m.read, digest, d.Size, d.Digest)
	}
	return digest, nil
}
