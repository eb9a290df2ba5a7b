package connector

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Source is an open registry: it lists repositories and tags and gives out manifests, configs and blobs.
type Source struct{ *oci.Registry }

// Tags returns one page of a repository's tags. The distribution API says nothing of a tag but its name.
func (s *Source) Tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	names, next, err := s.Registry.Tags(ctx, repository, cursor)
	tags := make([]tidewaiter.ListedTag, len(names))
	for i, name := range names {
		tags[i].Name = name
	}
	return tags, next, err
}
