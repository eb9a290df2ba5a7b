package discover

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// tags lists one repository to its end, decides, and stores the outcome.
func (l *listing) tags(ctx context.Context, r tidewaiter.Repository) error {
	tags, err := l.allTags(ctx, r.Name)
	if tidewaiter.KindOf(err) == tidewaiter.ErrGone && !l.named(r.Name) {
		tags, err = nil, nil // catalogues keep the names of repositories whose last tag was deleted
	}
	if err != nil {
		return fmt.Errorf("tags of %s: %w", r.Name, err)
	}
	if l.scan.Scope.NeedsTimes() {
		if err := l.fillTimes(ctx, r.Name, tags); err != nil {
			return fmt.Errorf("times of the tags of %s: %w", r.Name, err)
		}
	}
	decisions := l.scan.Scope.Tags(r.Name, tags, l.Now())
	var selected []tidewaiter.ListedTag
	var excluded []store.ExcludedTag
	for i, t := range tags {
		if decisions[i].Included {
			selected = append(selected, t)
		} else {
			excluded = append(excluded, store.ExcludedTag{Name: t.Name, Decision: decisions[i]})
		}
	}
	if err := l.fillDigests(ctx, r.Name, selected); err != nil {
		return err
	}
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		if err := l.recordTags(ctx, tx, r, selected); err != nil {
			return err
		}
		if err := tx.RecordRepositoryListed(ctx, l.registry.ID, l.scan.ID, r.ID, len(tags), len(selected), excluded, l.Now()); err != nil {
			return err
		}
		return tx.AddScanCounts(ctx, l.scan.ID, store.ScanCounts{RepositoriesListed: 1, TagsSeen: len(tags)})
	})
}

// named reports whether the scope names the repository itself, so that its absence is news.
func (l *listing) named(repository string) bool {
	names, ok := l.scan.Scope.Named()
	for _, n := range names {
		if ok && n == repository {
			return true
		}
	}
	return false
}

func (l *listing) allTags(ctx context.Context, repository string) ([]tidewaiter.ListedTag, error) {
	var all []tidewaiter.ListedTag
	seen := map[string]bool{}
	cursor := ""
	for range maxPages {
		page, next, err := l.source.Tags(ctx, repository, cursor)
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			if !seen[t.Name] {
				seen[t.Name] = true
				all = append(all, t)
			}
		}
		if next == "" {
			return all, nil
		}
		if next == cursor {
			return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the registry's list of tags leads in a circle")
		}
		cursor = next
	}
	return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the list has more than %d pages", maxPages)
}

// perRepository bounds the requests under way for one repository. The budget of the host bounds them all together.
const perRepository = 8

// fillDigests asks for the digest of each tag whose listing did not say. A tag that vanished meanwhile keeps none: its own
// job will find out.
func (l *listing) fillDigests(ctx context.Context, repository string, tags []tidewaiter.ListedTag) error {
	return l.each(ctx, tags, func(ctx context.Context, t *tidewaiter.ListedTag) error {
		if t.Digest != "" {
			return nil
		}
		d, err := l.source.Head(ctx, repository, t.Name)
		if tidewaiter.KindOf(err) == tidewaiter.ErrGone {
			return nil
		}
		if err != nil {
			return fmt.Errorf("digest of %s:%s: %w", repository, t.Name, err)
		}
		t.Digest, t.MediaType = d.Digest, d.MediaType
		return nil
	})
}

// fillTimes learns when each tag was last modified, where the listing did not say: from what is known of its digest, else
// from the build time in its image's configuration. Tags the scope leaves out by name are not asked about.
func (l *listing) fillTimes(ctx context.Context, repository string, tags []tidewaiter.ListedTag) error {
	byName := l.scan.Scope
	byName.Newest, byName.MaxAgeDays = 0, 0
	decisions := byName.Tags(repository, tags, l.Now())
	var unknown []*tidewaiter.ListedTag
	for i := range tags {
		if decisions[i].Included && tags[i].UpdatedAt.IsZero() {
			unknown = append(unknown, &tags[i])
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(perRepository)
	for _, t := range unknown {
		group.Go(func() error {
			at, err := l.created(gctx, repository, t)
			if kind := tidewaiter.KindOf(err); kind == tidewaiter.ErrGone || kind == tidewaiter.ErrUnsupported || kind == tidewaiter.ErrMalformed {
				return nil // unknown: it counts as oldest, and its own job says what is wrong with it
			}
			t.UpdatedAt = at
			return err
		})
	}
	return group.Wait()
}

// created returns the build time of a tag's image, and notes its digest on the way.
func (l *listing) created(ctx context.Context, repository string, t *tidewaiter.ListedTag) (time.Time, error) {
	if t.Digest == "" {
		d, err := l.source.Head(ctx, repository, t.Name)
		if err != nil {
			return time.Time{}, err
		}
		t.Digest, t.MediaType = d.Digest, d.MediaType
	}
	known, err := l.Store.Manifest(ctx, t.Digest)
	if err == nil && !known.CreatedAt.IsZero() {
		return known.CreatedAt, nil
	}
	if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		return time.Time{}, err
	}
	m, _, err := l.source.Manifest(ctx, repository, t.Digest)
	if err != nil {
		return time.Time{}, err
	}
	if m.CreatedAt, err = l.buildTime(ctx, repository, m); err != nil || m.CreatedAt.IsZero() {
		return m.CreatedAt, err
	}
	return m.CreatedAt, l.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutManifest(ctx, m) })
}

// buildTime reads an image's configuration; of an index, that of the first image in it.
func (l *listing) buildTime(ctx context.Context, repository string, m *tidewaiter.Manifest) (time.Time, error) {
	if m.Kind == tidewaiter.ManifestIndex && len(m.Manifests) > 0 {
		child, _, err := l.source.Manifest(ctx, repository, m.Manifests[0].Digest)
		if err != nil {
			return time.Time{}, err
		}
		m = child
	}
	if m.Kind != tidewaiter.ManifestImage {
		return time.Time{}, nil
	}
	c, _, err := l.source.Config(ctx, repository, m.Config)
	if err != nil {
		return time.Time{}, err
	}
	return c.CreatedAt, nil
}

func (l *listing) each(ctx context.Context, tags []tidewaiter.ListedTag, f func(context.Context, *tidewaiter.ListedTag) error) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(perRepository)
	for i := range tags {
		group.Go(func() error { return f(gctx, &tags[i]) })
	}
	return group.Wait()
}

// recordTags stores the selected tags and queues those whose image is not known and judged yet.
func (l *listing) recordTags(ctx context.Context, tx *store.Tx, r tidewaiter.Repository, selected []tidewaiter.ListedTag) error {
	recorded, err := tx.RecordTags(ctx, store.RecordTags{
		RegistryID: l.registry.ID, ScanID: l.scan.ID, RepositoryID: r.ID, Tags: selected, Analyzer: l.Analyzer, Now: l.Now(),
	})
	if err != nil {
		return err
	}
	var jobs []tidewaiter.Job
	var open []int64
	counts := store.ScanCounts{TagsSelected: len(recorded)}
	for _, t := range recorded {
		if t.Again {
			counts.TagsSelected--
			continue
		}
		if t.NoImage && !l.scan.Force {
			continue
		}
		counts.ImagesTotal++
		if t.Known && !l.scan.Force && usualPlatform(l.scan.Scope.Platforms) {
			continue
		}
		open = append(open, t.TagID)
		jobs = append(jobs, l.TagJob(l.scan, r.Name, t))
	}
	if err := tx.OpenScanTags(ctx, l.scan.ID, open); err != nil {
		return err
	}
	counts.ImagesDone = counts.ImagesTotal - len(open)
	if err := tx.AddScanCounts(ctx, l.scan.ID, counts); err != nil {
		return err
	}
	return l.Jobs.Enqueue(ctx, tx, jobs...)
}

// usualPlatform reports whether a scope takes out of an index what every scope takes that does not say. For any other the
// tag has to be looked into although its digest is known: what is known may be for another platform.
func usualPlatform(want []tidewaiter.Platform) bool {
	return len(want) == 0 || len(want) == 1 && want[0] == tidewaiter.Platform{OS: "linux", Architecture: "amd64"}
}

// target handles a scan of one tag or digest: no list is read and nothing can be concluded from it.
func (l *listing) target(ctx context.Context) error {
	t := l.scan.Target
	if d := l.scan.Scope.Repository(t.Repository); !d.Included {
		return tidewaiter.Invalid("target.repository", "repository %s is not in the registry's scope (%s)", t.Repository, d.Reason)
	}
	name, reference := t.Tag, t.Tag
	if t.Digest != "" {
		reference = t.Digest
	}
	if name == "" {
		name = t.Digest
	}
	d, err := l.source.Head(ctx, t.Repository, reference)
	if err != nil {
		return err
	}
	listed := []tidewaiter.ListedTag{{Name: name, Digest: d.Digest, MediaType: d.MediaType, Size: d.Size}}
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		ids, err := tx.RecordRepositories(ctx, l.registry.ID, l.scan.ID, l.registry.Host(),
			[]store.RepositoryDecision{{Name: t.Repository, Decision: l.scan.Scope.Repository(t.Repository)}})
		if err != nil {
			return err
		}
		r := tidewaiter.Repository{ID: ids[t.Repository], Host: l.registry.Host(), Name: t.Repository}
		if err := l.recordTags(ctx, tx, r, listed); err != nil {
			return err
		}
		scan, err := tx.Scan(ctx, l.scan.ID)
		if err != nil {
			return err
		}
		return l.close(ctx, tx, scan, nil) // in the same transaction, so that a second run counts nothing twice
	})
}
