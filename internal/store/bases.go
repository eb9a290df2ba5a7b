package store

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// NamedImage is an image under one of its names.
type NamedImage struct {
	Name string // host/repository:tag
	*tidewaiter.Image
}

// ImagesNamed returns images, with layers, that are shown under a name take accepts, each with the first such name; at most
// limit, by name. literal is a part of every name that can be accepted and narrows what is looked through.
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
	var ids []int64
	names := map[int64]string{}
	for _, row := range found {
		if len(ids) == limit {
			break
		}
		if names[row.ImageID] == "" && take(row.Reference) {
			names[row.ImageID], ids = row.Reference, append(ids, row.ImageID)
		}
	}
	images, err := r.ImagesByID(ctx, ids)
	out := make([]NamedImage, len(images))
	for i, img := range images {
		out[i] = NamedImage{Name: names[img.ID], Image: img}
	}
	return out, err
}
