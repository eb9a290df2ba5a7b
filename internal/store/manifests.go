package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Manifest returns a manifest by digest, or ErrNotFound.
func (r *Reader) Manifest(ctx context.Context, digest string) (*tidewaiter.Manifest, error) {
	doc, err := rows[[]byte](ctx, r, "select doc from manifests where digest = ?", text(digest))
	if err != nil {
		return nil, fail(err, "manifest %s", digest)
	}
	if len(doc) == 0 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "manifest %s: not found", digest)
	}
	m := new(tidewaiter.Manifest)
	return m, r.codec.unpackJSON(doc[0], m)
}

type manifestRow struct {
	bun.BaseModel `bun:"table:manifests"`

	Digest    string
	Kind      string
	MediaType string
	Doc       []byte
}

// PutManifest stores a manifest. What has a digest never changes, so one that is there already stays.
func (tx *Tx) PutManifest(ctx context.Context, m *tidewaiter.Manifest) error {
	doc, err := tx.codec.packJSON(m)
	if err != nil {
		return err
	}
	row := manifestRow{Digest: text(m.Digest), Kind: string(m.Kind), MediaType: text(m.MediaType), Doc: doc}
	_, err = tx.insert(&row).On("conflict do nothing").Exec(ctx)
	return fail(err, "store manifest %s", m.Digest)
}

// PutManifestTime stores a manifest whose build time is known, also over the same manifest without.
func (tx *Tx) PutManifestTime(ctx context.Context, m *tidewaiter.Manifest) error {
	doc, err := tx.codec.packJSON(m)
	if err != nil {
		return err
	}
	row := manifestRow{Digest: text(m.Digest), Kind: string(m.Kind), MediaType: text(m.MediaType), Doc: doc}
	_, err = tx.insert(&row).On("conflict (digest) do update").Set("doc = excluded.doc").Exec(ctx)
	return fail(err, "store manifest %s", m.Digest)
}
