package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// JobScan lists a registry; its Args are ScanArgs.
const JobScan tidewaiter.JobKind = "scan"

// ScanArgs says which scan a job is for.
type ScanArgs struct {
	ScanID string `json:"scanID"`
}

// ScanRequest says how to scan.
type ScanRequest struct {
	Lane     tidewaiter.Lane
	OnDemand bool
	Force    bool
	Scope    *tidewaiter.Scope  // nil takes the registry's own
	Target   *tidewaiter.Target // nil scans everything in scope
	Name     string             // may be empty

	scheduleID string
}

// StartScan puts a scan of a registry on the queue and returns it. When one of all of it is on its way already, that one is
// returned instead, unless the request has a name of its own: then it runs beside that one, which alone decides what is gone.
func (c *Control) StartScan(ctx context.Context, registryID string, req ScanRequest) (*tidewaiter.Scan, error) {
	var scan *tidewaiter.Scan
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Registry(ctx, registryID)
		if err != nil {
			return err
		}
		beside := false
		if req.Target == nil && req.Scope == nil {
			running, err := tx.UnfinishedScan(ctx, registryID)
			if err != nil {
				return err
			}
			if beside = running != nil; beside && req.Name == "" {
				scan = running
				return nil
			}
		}
		scan = c.newScan(r, req)
		scan.Partial = scan.Partial || beside
		if err := c.insertScans(ctx, tx, []*tidewaiter.Scan{scan}); err != nil {
			return err
		}
		return c.audit(ctx, tx, "scan.start", r.ID, r.URL)
	})
	return scan, err
}

// StartAll puts a scan of every registry of an origin on the queue ("" is every registry), but for those that have one on
// its way. It returns how many it started.
func (c *Control) StartAll(ctx context.Context, origin tidewaiter.Origin, req ScanRequest) (int, error) {
	started := 0
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.RegistriesOf(ctx, origin)
		if err != nil {
			return err
		}
		busy, err := tx.UnfinishedScans(ctx)
		if err != nil {
			return err
		}
		var scans []*tidewaiter.Scan
		for _, r := range all {
			if !busy[r.ID] {
				scans = append(scans, c.newScan(r, req))
			}
		}
		started = len(scans)
		if err := c.insertScans(ctx, tx, scans); err != nil {
			return err
		}
		return c.audit(ctx, tx, "scan.start", string(origin), fmt.Sprintf("%d registries", started))
	})
	return started, err
}

// StartTarget scans one image at once. The registries that declare its host and have it in scope answer for it; the first
// one is enough. Errors: ErrNotFound when no declared registry covers it.
func (c *Control) StartTarget(ctx context.Context, host string, target tidewaiter.Target, req ScanRequest) (*tidewaiter.Scan, error) {
	rs, err := every(func(p store.Page) ([]*tidewaiter.Registry, string, error) {
		return c.store.Registries(ctx, store.RegistryFilter{Host: tidewaiter.HostOf(host), Page: p})
	})
	if err != nil {
		return nil, err
	}
	for _, r := range rs {
		if !covers(r, target) {
			continue
		}
		req.Target = &target
		return c.StartScan(ctx, r.ID, req)
	}
	return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "no declared registry covers %s/%s", host, target.Repository).
		WithFix("declare the registry first, or widen its repository pattern")
}

// covers reports whether a registry has an image in scope by its name. A digest is in scope with its repository.
func covers(r *tidewaiter.Registry, t tidewaiter.Target) bool {
	if !r.Scope.Repository(t.Repository).Included {
		return false
	}
	byName := r.Scope
	byName.Newest, byName.MaxAgeDays, byName.VersionPattern = 0, 0, ""
	return t.Tag == "" || byName.Tags(t.Repository, []tidewaiter.ListedTag{{Name: t.Tag}}, time.Time{})[0].Included
}

// startScans queues a scan for each of the registries, in the caller's transaction.
func (c *Control) startScans(ctx context.Context, tx *store.Tx, rs []*tidewaiter.Registry, req ScanRequest) error {
	scans := make([]*tidewaiter.Scan, len(rs))
	for i, r := range rs {
		scans[i] = c.newScan(r, req)
	}
	return c.insertScans(ctx, tx, scans)
}

func (c *Control) newScan(r *tidewaiter.Registry, req ScanRequest) *tidewaiter.Scan {
	s := &tidewaiter.Scan{
		ID: c.newID(), RegistryID: r.ID, State: tidewaiter.ScanQueued, Lane: req.Lane, OnDemand: req.OnDemand,
		Force: req.Force, Scope: r.Scope, Target: req.Target, Name: req.Name, ScheduleID: req.scheduleID,
		CreatedAt: c.now(), UpdatedAt: c.now(),
	}
	if req.Scope != nil {
		s.Scope, s.Partial = *req.Scope, digestOf(*req.Scope) != digestOf(r.Scope)
	}
	return s
}

// insertScans stores scans and the job that begins each.
func (c *Control) insertScans(ctx context.Context, tx *store.Tx, scans []*tidewaiter.Scan) error {
	if err := tx.InsertScans(ctx, scans); err != nil {
		return err
	}
	jobs := make([]tidewaiter.Job, len(scans))
	for i, s := range scans {
		jobs[i] = tidewaiter.Job{Kind: JobScan, Lane: s.Lane, Args: ScanArgs{ScanID: s.ID}, UniqueKey: s.ID,
			RegistryID: s.RegistryID, Reach: tidewaiter.ReachList, Timeout: time.Hour, MaxAttempts: 3}
	}
	return c.jobs.Enqueue(ctx, tx, jobs...)
}

// StopScans cancels whatever is on its way for the registries; none means all registries. Results found so far stay. The
// scans are closed before their jobs are taken away: a job that is left over finds nothing to do.
func (c *Control) StopScans(ctx context.Context, registryIDs ...string) error {
	unfinished, err := every(func(p store.Page) ([]*tidewaiter.Scan, string, error) {
		return c.store.Scans(ctx, store.ScanFilter{RegistryIDs: registryIDs, Unfinished: true, Page: p})
	})
	if err != nil {
		return err
	}
	registries := map[string]bool{}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		for _, s := range unfinished {
			registries[s.RegistryID] = true
			if err := tx.CancelScan(ctx, s.ID, c.now()); err != nil {
				return err
			}
		}
		return c.audit(ctx, tx, "scans.stop", strings.Join(registryIDs, ","), fmt.Sprintf("%d scans", len(unfinished)))
	})
	if err != nil {
		return err
	}
	for id := range registries {
		if err := c.jobs.CancelRegistry(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
