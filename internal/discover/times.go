package discover

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// times learns when tags were last modified where a listing does not say: from what is known of a tag's digest, else from
// the build time in its image's configuration.
type times struct {
	source Source
	known  func(ctx context.Context, digest string) (time.Time, error) // zero when nothing is known; nil knows nothing
	learnt func(ctx context.Context, m *tidewaiter.Manifest) error     // told of a manifest with its build time; may be nil
	asked  func(tag, digest string)                                    // told of a digest that was asked for; may be nil
	enough func() bool                                                 // no more is asked once it reports true; nil never does
}

// fill sets the times of the tags that have none. Tags the scope leaves out by name are not asked about. It returns how
// many were left unasked because it was enough.
func (t times) fill(ctx context.Context, scope tidewaiter.Scope, repository string, tags []tidewaiter.ListedTag, now time.Time) (unasked int, err error) {
	var unknown []*tidewaiter.ListedTag
	for i, d := range byName(scope).Tags(repository, tags, now) {
		if d.Included && tags[i].UpdatedAt.IsZero() {
			unknown = append(unknown, &tags[i])
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(perRepository)
	for _, tag := range unknown {
		if t.enough != nil && t.enough() {
			unasked++
			continue
		}
		group.Go(func() error {
			at, err := t.created(gctx, repository, tag)
			if kind := tidewaiter.KindOf(err); kind == tidewaiter.ErrGone || kind == tidewaiter.ErrUnsupported || kind == tidewaiter.ErrMalformed {
				return nil // unknown: it counts as oldest, and its own job says what is wrong with it
			}
			tag.UpdatedAt = at
			return err
		})
	}
	return unasked, group.Wait()
}

// byName is a scope without what takes times.
func byName(s tidewaiter.Scope) *tidewaiter.Scope {
	s.Newest, s.MaxAgeDays = 0, 0
	return &s
}

// created returns the build time of a tag's image, and notes its digest on the way.
func (t times) created(ctx context.Context, repository string, tag *tidewaiter.ListedTag) (time.Time, error) {
	if tag.Digest == "" {
		d, err := t.source.Head(ctx, repository, tag.Name)
		if err != nil {
			return time.Time{}, err
		}
		tag.Digest, tag.MediaType = d.Digest, d.MediaType
		if t.asked != nil {
			t.asked(tag.Name, d.Digest)
		}
	}
	if t.known != nil {
		if at, err := t.known(ctx, tag.Digest); err != nil || !at.IsZero() {
			return at, err
		}
	}
	m, _, err := t.source.Manifest(ctx, repository, tag.Digest)
	if err != nil {
		return time.Time{}, err
	}
	if m.CreatedAt, err = t.buildTime(ctx, repository, m); err != nil || m.CreatedAt.IsZero() || t.learnt == nil {
		return m.CreatedAt, err
	}
	return m.CreatedAt, t.learnt(ctx, m)
}

// buildTime reads an image's configuration; of an index, that of the first image in it.
func (t times) buildTime(ctx context.Context, repository string, m *tidewaiter.Manifest) (time.Time, error) {
	if m.Kind == tidewaiter.ManifestIndex && len(m.Manifests) > 0 {
		child, _, err := t.source.Manifest(ctx, repository, m.Manifests[0].Digest)
		if err != nil {
			return time.Time{}, err
		}
		m = child
	}
	if m.Kind != tidewaiter.ManifestImage {
		return time.Time{}, nil
	}
	c, _, err := t.source.Config(ctx, repository, m.Config)
	if err != nil {
		return time.Time{}, err
	}
	return c.CreatedAt, nil
}
