package store

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// NamedImage is an image's layers under one of its names.
type NamedImage struct {
	ImageID   int64
	Name      string // host/repository:tag
	CreatedAt int64  // of the image, in microseconds since 1970
	Layers    []tidewaiter.LayerRef
}

// ImagesNamed returns the images shown under names that a pattern takes, and under what name each was found; at most limit.
// take decides; the pattern's literal part, which every name it takes contains, only narrows what is looked through.
func (r *Reader) ImagesNamed(ctx context.Context, literal string, take func(name string) bool, limit int) ([]NamedImage, error) {
	type row struct {
		ImageID   int64
		Reference string
	}
	found, err := rows[row](ctx, r, `select ti.image_id, t.reference from tags t join tag_images ti on ti.tag_id = t.id and ti.shown
		where t.gone_at = 0 and lower(t.reference) like ? escape '\' order by t.reference, ti.image_id`, containing(literal))
	if err != nil {
		return nil, fail(err, "find images by name")
	}
	var (
		out  []NamedImage
		ids  []int64
		seen = map[int64]bool{}
	)
	for _, row := range found {
		if len(out) == limit {
			break
		}
		if seen[row.ImageID] || !take(row.Reference) {
			continue
		}
		seen[row.ImageID] = true
		out, ids = append(out, NamedImage{ImageID: row.ImageID, Name: row.Reference}), append(ids, row.ImageID)
	}
	images, err := r.imageRows(ctx, ids, true)
	if err != nil {
		return nil, fail(err, "find images by name")
	}
	for i := range out {
		stored := images[out[i].ImageID]
		if stored == nil {
			continue
		}
		img, err := r.image(stored)
		if err != nil {
			return nil, fail(err, "find images by name")
		}
		out[i].Layers, out[i].CreatedAt = img.Layers, stored.CreatedAt
	}
	return out, nil
}
