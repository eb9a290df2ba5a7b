// Package discover finds the tags of a registry that are worth scanning: it lists repositories and tags, lets the scope
// decide, records every decision with its reason, and puts what is new or moved on the queue.
//
// A listing goes repository by repository. What each one showed is stored in a transaction of its own, together with the
// jobs that follow, so that an interrupted listing goes on with the repositories it had not come to. Only a listing that
// saw everything may conclude that a tag is gone.
package discover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Source is a registry to list. Both lists come page by page; "" is the first cursor and, returned, the end.
type Source interface {
	Repositories(ctx context.Context, cursor string) (names []string, next string, err error)
	Tags(ctx context.Context, repository, cursor string) (tags []tidewaiter.ListedTag, next string, err error)
	Head(ctx context.Context, repository, reference string) (tidewaiter.Descriptor, error)
	Manifest(ctx context.Context, repository, reference string) (*tidewaiter.Manifest, []byte, error)
	Config(ctx context.Context, repository string, d tidewaiter.Descriptor) (*oci.Config, []byte, error)
}

// Enqueuer puts jobs on the queue inside a transaction of the store.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *store.Tx, jobs ...tidewaiter.Job) error
}

// Config is what a Discoverer works with. Every field is required.
type Config struct {
	Store *store.DB
	Jobs  Enqueuer
	Open  func(ctx context.Context, registryID string) (Source, error) // a declared registry, logged in
	// TagJob makes the job that looks into a tag that is new or moved.
	TagJob   func(scan *tidewaiter.Scan, repository string, tag store.RecordedTag) tidewaiter.Job
	Analyzer string   // the current one: what another has analysed is not known
	Parallel int      // repositories listed at the same time
	Rotation Rotation // of known tags, unless the registry's settings say otherwise
	Now      func() time.Time
	Log      *slog.Logger
}

// Discoverer runs listings.
type Discoverer struct{ Config }

// New returns a Discoverer.
func New(c Config) *Discoverer { return &Discoverer{c} }

// Work does the listing of a scan, or goes on with it. An error that is returned may be worth trying again.
func (d *Discoverer) Work(ctx context.Context, run tidewaiter.JobRun) error {
	id, err := scanOf(run)
	if err != nil {
		return err
	}
	scan, registry, err := d.begin(ctx, id)
	if err != nil || scan == nil {
		return err
	}
	source, err := d.Open(ctx, registry.ID)
	if err != nil {
		return err
	}
	l := &listing{Discoverer: d, scan: scan, registry: registry, source: source}
	if l.rotation, err = d.Rotation.of(registry); err != nil {
		return err
	}
	l.allowance = l.rotation.allowance()
	if err := l.run(ctx); err != nil {
		if tooLong(err) {
			return d.Failed(ctx, run, err)
		}
		if refused(err) {
			return l.awaitCredential(ctx, err)
		}
		return err
	}
	if len(l.failed) > 0 && !run.Last() && allRetryable(l.failed) {
		return fmt.Errorf("%d repositories could not be listed: %w", len(l.failed), l.failed[0])
	}
	return l.end(ctx)
}

// patience is how long a listing waits for a registry that asked for time. A longer pause ends the listing as it is; what
// it did not come to is the next scan's.
const patience = 5 * time.Minute

func tooLong(err error) bool {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	return ok && e.RetryAfter > patience
}

// Failed ends a scan whose registry could not be listed, for good. What earlier scans found stays.
func (d *Discoverer) Failed(ctx context.Context, run tidewaiter.JobRun, cause error) error {
	id, err := scanOf(run)
	if err != nil {
		return err
	}
	d.Log.Warn("registry could not be listed", "scan", id, "job", run.ID, "err", cause)
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		scan, err := tx.Scan(ctx, id)
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && scan.State.Done() {
			return nil
		}
		if err != nil {
			return err
		}
		return d.close(ctx, tx, scan, cause)
	})
}

// scanOf reads which scan a job is for.
func scanOf(run tidewaiter.JobRun) (string, error) {
	var a struct {
		ScanID string `json:"scanID"`
	}
	err := json.Unmarshal(run.Args, &a)
	return a.ScanID, err
}

// begin marks the scan as listing. It returns no scan when there is nothing to do any more.
func (d *Discoverer) begin(ctx context.Context, scanID string) (scan *tidewaiter.Scan, registry *tidewaiter.Registry, err error) {
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		scan, err = tx.Scan(ctx, scanID)
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && scan.State != tidewaiter.ScanQueued && scan.State != tidewaiter.ScanListing {
			scan = nil
			return nil
		}
		if err != nil {
			return err
		}
		if registry, err = tx.Registry(ctx, scan.RegistryID); err != nil {
			return err
		}
		if scan.State == tidewaiter.ScanQueued {
			scan.State, scan.StartedAt = tidewaiter.ScanListing, d.Now()
			return tx.UpdateScan(ctx, scan)
		}
		return nil
	})
	return scan, registry, err
}

// close ends the listing of a scan: with err when that is not nil, which makes the scan fail once its images are judged.
func (d *Discoverer) close(ctx context.Context, tx *store.Tx, scan *tidewaiter.Scan, err error) error {
	if err != nil {
		scan.Error = err.Error()
		if e := tx.AddScanError(ctx, scan.ID, scanError(err, "", "", d.Now())); e != nil {
			return e
		}
	}
	scan.State, scan.ListedAt = tidewaiter.ScanScanning, d.Now()
	if err := tx.UpdateScan(ctx, scan); err != nil {
		return err
	}
	_, ferr := tx.FinishScanIfDone(ctx, scan.ID, d.Now())
	return ferr
}

func scanError(err error, repository, tag string, now time.Time) tidewaiter.ScanError {
	return tidewaiter.ScanError{Kind: tidewaiter.KindOf(err), Repository: repository, Tag: tag, Text: err.Error(), At: now}
}

func allRetryable(errs []error) bool {
	for _, err := range errs {
		if !tidewaiter.KindOf(err).Retryable() || tooLong(err) {
			return false
		}
	}
	return true
}

// listing is one run over one registry.
type listing struct {
	*Discoverer
	scan     *tidewaiter.Scan
	registry *tidewaiter.Registry
	source   Source

	rotation  Rotation
	allowance *allowance // of known tags that may still be asked for

	mu     sync.Mutex
	failed []error // repositories that could not be listed
}

func (l *listing) run(ctx context.Context) error {
	if l.scan.Target != nil {
		return l.target(ctx)
	}
	if err := l.repositories(ctx); err != nil {
		return err
	}
	pending, err := l.Store.PendingRepositories(ctx, l.registry.ID, l.scan.ID)
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(l.Parallel)
	for _, r := range pending {
		group.Go(func() error { return l.repository(gctx, r) })
	}
	return group.Wait()
}

// repository lists one repository. What is wrong with it does not stop the others: it is noted and the listing counts as
// incomplete. Only our own troubles are returned, and what concerns all repositories: a credential that is refused.
func (l *listing) repository(ctx context.Context, r tidewaiter.Repository) error {
	err := l.tags(ctx, r)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if kind := tidewaiter.KindOf(err); kind == tidewaiter.ErrBug || refused(err) {
		return err
	}
	l.mu.Lock()
	l.failed = append(l.failed, err)
	l.mu.Unlock()
	l.Log.Warn("repository could not be listed", "registry", l.registry.ID, "repository", r.Name, "scan", l.scan.ID, "err", err)
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.AddScanError(ctx, l.scan.ID, scanError(err, r.Name, "", l.Now()))
	})
}

// end closes the listing. What a complete one did not show any more is gone.
func (l *listing) end(ctx context.Context) error {
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		scan, err := tx.Scan(ctx, l.scan.ID)
		if err != nil {
			return err
		}
		if scan.State.Done() {
			return nil // cancelled meanwhile
		}
		if len(l.failed) > 0 {
			return l.close(ctx, tx, scan, fmt.Errorf("the listing is incomplete, so nothing was taken away: %w", l.failed[0]))
		}
		if scan.Complete = scan.Target == nil && !scan.Partial; scan.Complete {
			if _, err := tx.ConcludeListing(ctx, l.registry.ID, scan.ID, l.Now()); err != nil {
				return err
			}
		}
		return l.close(ctx, tx, scan, nil)
	})
}
