package store

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ImageTag is a tag that leads to an image, with the registries that have it in scope.
type ImageTag struct {
	tidewaiter.Tag
	RegistryIDs []string
}

// ImageTags returns the tags there that lead to images, by image, each list by name.
func (r *Reader) ImageTags(ctx context.Context, imageIDs []int64) (map[int64][]ImageTag, error) {
	tags, err := r.tagsOfImages(ctx, imageIDs, false)
	if err != nil {
		return nil, fail(err, "tags of images")
	}
	var ids []int64
	for _, list := range tags {
		for i := range list {
			ids = append(ids, list[i].ID)
		}
	}
	registries, err := r.registriesOfTags(ctx, ids)
	out := make(map[int64][]ImageTag, len(tags))
	for image, list := range tags {
		for i := range list {
			out[image] = append(out[image], ImageTag{list[i], registries[list[i].ID]})
		}
	}
	return out, fail(err, "registries of tags")
}
