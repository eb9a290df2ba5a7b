package control

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The jobs of the calendar. They take no arguments.
const (
	JobSchedule  tidewaiter.JobKind = "schedule"  // starts the scans that are due
	JobRetention tidewaiter.JobKind = "retention" // removes what is gone for long enough
)

// scheduleLock is taken by whoever starts due scans, as origins are by whoever replaces registries.
const scheduleLock tidewaiter.Origin = "schedule"

// StartDue starts the scans that are due and returns how many: those of registries with a schedule, counted from when the
// last scan of everything was asked for, or from when the registry was declared; and those of plans, at their own times. What
// is still on its way has its turn when that is over. However many servers ask at the same time, a due scan starts once.
func (c *Control) StartDue(ctx context.Context) (started int, err error) {
	// Mostly nothing is due: that is found out without keeping writers waiting.
	if due, plans, err := c.due(ctx, c.store.Reader); err != nil || len(due)+len(plans) == 0 {
		return 0, err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		started = 0
		if err := tx.LockOrigin(ctx, scheduleLock); err != nil {
			return err
		}
		due, plans, err := c.due(ctx, tx.Reader)
		if err != nil {
			return err
		}
		if err := c.startScans(ctx, tx, due, ScanRequest{Lane: tidewaiter.LaneFresh}); err != nil {
			return err
		}
		planned, err := c.startPlans(ctx, tx, plans)
		if started = len(due) + planned; err != nil || started == 0 {
			return err
		}
		return c.audit(ctx, tx, "scan.schedule", "", strconv.Itoa(started)+" scans")
	})
	return started, err
}

// due returns the registries and the plans that are due.
func (c *Control) due(ctx context.Context, r *store.Reader) ([]*tidewaiter.Registry, []*tidewaiter.Plan, error) {
	registries, err := c.dueRegistries(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	plans, err := r.DuePlans(ctx, c.now())
	return registries, plans, err
}

func (c *Control) dueRegistries(ctx context.Context, r *store.Reader) ([]*tidewaiter.Registry, error) {
	scheduled, err := r.RegistriesWithSchedule(ctx)
	if err != nil || len(scheduled) == 0 {
		return nil, err
	}
	last, err := r.LastStarts(ctx)
	if err != nil {
		return nil, err
	}
	busy, err := r.UnfinishedScans(ctx)
	if err != nil {
		return nil, err
	}
	var due []*tidewaiter.Registry
	for _, reg := range scheduled {
		from := reg.CreatedAt
		if at, scanned := last[reg.ID]; scanned {
			from = at
		}
		if next := reg.Schedule.Next(from); !next.IsZero() && !next.After(c.now()) && !busy[reg.ID] {
			due = append(due, reg)
		}
	}
	return due, nil
}

const (
	purgeBatch = 500             // of each kind of row in one transaction
	purgeTime  = 4 * time.Minute // of one run; what is left is the next one's
)

// Purge removes, in small steps, tags that are gone for longer than the retention and whatever only they led to, and what
// happened so long ago that nobody needs to know.
func (c *Control) Purge(ctx context.Context) (store.Purged, error) {
	var sum store.Purged
	keep, err := c.Retention(ctx)
	if err != nil {
		return sum, err
	}
	for began := c.now(); c.now().Sub(began) < purgeTime; {
		p, err := c.store.PurgeGone(ctx, c.before(keep.Gone), purgeBatch)
		sum.Add(p)
		if err != nil {
			return sum, err
		}
		old, err := c.store.PurgeHistory(ctx, c.before(keep.History), purgeBatch)
		sum.Add(old)
		if err != nil || !p.Any() && !old.Any() {
			return sum, err
		}
	}
	return sum, nil
}

// WorkSchedule does the job JobSchedule.
func (c *Control) WorkSchedule(ctx context.Context, _ tidewaiter.JobRun) error {
	n, err := c.StartDue(ctx)
	if n > 0 {
		c.log.Info("scheduled scans started", "scans", n)
	}
	return err
}

// WorkRetention does the job JobRetention.
func (c *Control) WorkRetention(ctx context.Context, _ tidewaiter.JobRun) error {
	p, err := c.Purge(ctx)
	if p.Any() {
		c.log.Info("what was gone or old is removed", "tags", p.Tags, "images", p.Images, "layers", p.Layers, "packages", p.Packages,
			"vulnerabilities", p.Vulnerabilities, "repositories", p.Repositories, "scans", p.Scans, "moves", p.Moves, "audit", p.Audit)
	}
	if err == nil {
		_, err = c.PurgeChanges(ctx)
	}
	return errors.Join(err, c.store.Upkeep(ctx))
}
