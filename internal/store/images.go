package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ImageByDigest returns an image by the digest of its manifest, or ErrNotFound.
func (r *Reader) ImageByDigest(ctx context.Context, digest string) (*tidewaiter.Image, error) {
	found, err := r.images(ctx, "i.digest = ?", text(digest))
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "no image %s", digest)
	}
	if err != nil {
		return nil, fail(err, "image %s", digest)
	}
	return found[0], nil
}

// ImagesByID returns images with layers and config in ascending order of their ids. Ids that do not exist are passed over.
func (r *Reader) ImagesByID(ctx context.Context, ids []int64) ([]*tidewaiter.Image, error) {
	var out []*tidewaiter.Image
	err := inChunks(distinct(ids), func(part []int64) error {
		found, err := r.images(ctx, "i.id in (?)", bun.List(part))
		out = append(out, found...)
		return err
	})
	return out, fail(err, "read images")
}

func (r *Reader) images(ctx context.Context, where string, args ...any) ([]*tidewaiter.Image, error) {
	found, err := rows[storedImage](ctx, r, "select "+imageColumns+", i.doc from images i where "+where+" order by i.id", args...)
	if err != nil {
		return nil, err
	}
	out := make([]*tidewaiter.Image, len(found))
	for i := range found {
		if out[i], err = r.image(&found[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// UpsertImage stores an image that is not known yet, as waiting, and sets its ID. What is stored of a known image stays,
// for nothing about a digest changes.
func (tx *Tx) UpsertImage(ctx context.Context, img *tidewaiter.Image) (id int64, created bool, err error) {
	before, err := rows[int64](ctx, tx.Reader, "select id from images where digest = ?", text(img.Digest))
	if err == nil {
		_, err = tx.internImages(ctx, []*tidewaiter.Image{img}, micros(tx.now()))
	}
	return img.ID, err == nil && len(before) == 0, fail(err, "store image %s", img.Digest)
}

// lockedImage is what of an image decides about the next step. Its row is locked.
type lockedImage struct {
	ID       int64
	Digest   string
	State    string
	Analyzer string
}

// internImages stores those of the images that are new, sets the ids of all, and locks their rows in the order of ids.
func (tx *Tx) internImages(ctx context.Context, images []*tidewaiter.Image, now int64) (map[string]lockedImage, error) {
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b *tidewaiter.Image) int { return cmp.Compare(a.Digest, b.Digest) })
	var (
		list    []storedImage
		digests []string
	)
	for i, img := range images {
		if i > 0 && img.Digest == images[i-1].Digest {
			continue
		}
		row, err := tx.storedImageOf(img, now)
		if err != nil {
			return nil, err
		}
		list, digests = append(list, row), append(digests, row.Digest)
	}
	if len(list) == 0 {
		return nil, nil
	}
	if _, err := tx.insert(&list).On("conflict do nothing").Returning("NULL").Exec(ctx); err != nil {
		return nil, err
	}
	locked, err := rows[lockedImage](ctx, tx.Reader,
		"select id, digest, state, analyzer from images where digest in (?) order by id"+tx.forUpdate(), bun.List(digests))
	if err != nil {
		return nil, err
	}
	byDigest := make(map[string]lockedImage, len(locked))
	for _, l := range locked {
		byDigest[l.Digest] = l
	}
	for _, img := range images {
		img.ID = byDigest[text(img.Digest)].ID
	}
	return byDigest, tx.internImageLayers(ctx, images)
}

func (tx *Tx) internImageLayers(ctx context.Context, images []*tidewaiter.Image) error {
	type row struct {
		bun.BaseModel `bun:"table:image_layers"`
		ImageID       int64
		Position      int
		DiffID        string `bun:"diff_id"`
	}
	var list []row
	for i, img := range images {
		if i > 0 && img.ID == images[i-1].ID {
			continue
		}
		for position, l := range img.Layers {
			list = append(list, row{ImageID: img.ID, Position: position, DiffID: text(l.DiffID)})
		}
	}
	return inChunks(list, func(part []row) error {
		_, err := tx.insert(&part).On("conflict do nothing").Exec(ctx)
		return err
	})
}
