package discover

import (
	"context"
	"errors"
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
	checks, err := l.keep(ctx, r, tags)
	if err != nil {
		return err
	}
	if err := l.decide(ctx, r, tags, checks); err != nil {
		return errors.Join(err, l.saveChecks(ctx, r.ID, checks))
	}
	return nil
}

// decide lets the scope choose among the tags, learns what it needs for that, and stores the outcome.
func (l *listing) decide(ctx context.Context, r tidewaiter.Repository, tags []tidewaiter.ListedTag, checks *checks) error {
	if l.scan.Scope.NeedsTimes() {
		if _, err := l.times(checks).fill(ctx, l.scan.Scope, r.Name, tags, l.Now()); err != nil {
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
	if err := l.fillDigests(ctx, r.Name, selected, checks); err != nil {
		return err
	}
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		if err := l.recordTags(ctx, tx, r, selected); err != nil {
			return err
		}
		if err := checks.record(ctx, tx, r.ID); err != nil {
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
	tags, _, err := readTags(ctx, l.source, repository, nil)
	return tags, err
}

// readTags reads a repository's tags, each once, to their end or until stop, asked after each page, reports true; nil never
// does. more says that there are others.
func readTags(ctx context.Context, source Source, repository string, stop func() bool) (all []tidewaiter.ListedTag, more bool, err error) {
	seen := map[string]bool{}
	cursor := ""
	for range maxPages {
		page, next, err := source.Tags(ctx, repository, cursor)
		if err != nil {
			return nil, false, err
		}
		for _, t := range page {
			if !seen[t.Name] {
				seen[t.Name] = true
				all = append(all, t)
			}
		}
		switch {
		case next == "":
			return all, false, nil
		case next == cursor:
			return nil, false, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the registry's list of tags leads in a circle")
		case stop != nil && stop():
			return all, true, nil
		}
		cursor = next
	}
	return nil, false, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the list has more than %d pages", maxPages)
}

// perRepository bounds the requests under way for one repository. The budget of the host bounds them all together.
const perRepository = 8

// fillDigests asks for the digest of each tag whose listing did not say. A tag that vanished meanwhile keeps none: its own
// job will find out.
func (l *listing) fillDigests(ctx context.Context, repository string, tags []tidewaiter.ListedTag, checks *checks) error {
	return l.each(ctx, tags, func(ctx context.Context, t *tidewaiter.ListedTag) error {
		if t.Digest != "" {
			return nil
		}
		d, err := l.source.Head(ctx, repository, t.Name)
		if tidewaiter.KindOf(err) == tidewaiter.ErrGone {
			checks.lost(t.Name)
			return nil
		}
		if err != nil {
			return fmt.Errorf("digest of %s:%s: %w", repository, t.Name, err)
		}
		t.Digest, t.MediaType = d.Digest, d.MediaType
		checks.add(t.Name, t.Digest)
		return nil
	})
}

// times learns build times, and keeps them with the manifests.
func (l *listing) times(checks *checks) times {
	return times{source: l.source, known: KnownTime(l.Store), asked: checks.add, learnt: func(ctx context.Context, m *tidewaiter.Manifest) error {
		return l.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutManifestTime(ctx, m) })
	}}
}

// KnownTime looks up build times among the manifests of a store.
func KnownTime(db *store.DB) func(context.Context, string) (time.Time, error) {
	return func(ctx context.Context, digest string) (time.Time, error) {
		m, err := db.Manifest(ctx, digest)
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			return time.Time{}, nil
		}
		if err != nil {
			return time.Time{}, err
		}
		return m.CreatedAt, nil
	}
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
	unchecked := map[string]bool{}
	for _, t := range selected {
		unchecked[t.Name] = t.Unchecked
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
		if unchecked[t.Name] {
			t.Digest = "" // its job asks where it points
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
		if t.Tag != "" {
			if err := tx.RecordTagChecks(ctx, r.ID, []store.TagCheck{{Name: t.Tag, Digest: d.Digest, At: l.Now()}}); err != nil {
				return err
			}
		}
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
