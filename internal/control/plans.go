package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// MaxPlans is how many plans a registry may have.
const MaxPlans = 1000

// CreatePlan stores a new plan and returns it as stored. Its times are counted from now. Errors: ErrInvalid for a plan that
// cannot be; ErrNotFound when there is no such registry.
func (c *Control) CreatePlan(ctx context.Context, draft *tidewaiter.Plan) (*tidewaiter.Plan, error) {
	p := *draft
	if err := p.Validate(); err != nil {
		return nil, err
	}
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Registry(ctx, p.RegistryID); err != nil {
			return err
		}
		others, err := tx.Plans(ctx, p.RegistryID)
		if err != nil {
			return err
		}
		if len(others) >= MaxPlans {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "the registry has %d schedules already, which is the limit", len(others))
		}
		p.ID, p.CreatedAt, p.UpdatedAt, p.From = c.newID(), c.now(), c.now(), c.now()
		p.NextAt = p.Due(c.now())
		if err := tx.PutPlan(ctx, &p); err != nil {
			return err
		}
		return c.audit(ctx, tx, "plan.create", p.ID, p.Name)
	})
	return &p, err
}

// UpdatePlan changes a plan: change is handed the stored one and may alter its name, its schedule and whether it forces. A new
// schedule counts from now. Errors: what change returns; ErrConflict while its scan is running. Qualys: a schedule in the state
// Running cannot be updated.
func (c *Control) UpdatePlan(ctx context.Context, id string, change func(*tidewaiter.Plan) error) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		p, err := c.restingPlan(ctx, tx, id, "updated")
		if err != nil {
			return err
		}
		before := digestOf(p.Schedule)
		if err := change(p); err != nil {
			return err
		}
		if err := p.Validate(); err != nil {
			return err
		}
		if digestOf(p.Schedule) != before {
			p.From = c.now()
			p.NextAt = p.Due(c.now())
		}
		p.UpdatedAt = c.now()
		if err := tx.PutPlan(ctx, p); err != nil {
			return err
		}
		return c.audit(ctx, tx, "plan.update", p.ID, p.Name)
	})
}

// CancelPlan ends a plan, and its scan when that is on its way. Errors: ErrNotFound.
func (c *Control) CancelPlan(ctx context.Context, id string) error {
	var last string
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		p, err := tx.Plan(ctx, id)
		if err != nil {
			return err
		}
		last, p.Canceled, p.UpdatedAt = p.LastScanID, true, c.now()
		if err := tx.PutPlan(ctx, p); err != nil {
			return err
		}
		return c.audit(ctx, tx, "plan.cancel", p.ID, p.Name)
	})
	if err != nil {
		return err
	}
	return c.stopUnfinished(ctx, last)
}

// DeletePlan removes a plan; a scan of it that only waits is cancelled. Results and the scans themselves stay. Errors:
// ErrNotFound; ErrConflict while its scan is running. Qualys: a schedule in the state Running cannot be deleted.
func (c *Control) DeletePlan(ctx context.Context, id string) error {
	var last string
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		p, err := c.restingPlan(ctx, tx, id, "deleted")
		if err != nil {
			return err
		}
		last = p.LastScanID
		if err := tx.DeletePlan(ctx, id); err != nil {
			return err
		}
		return c.audit(ctx, tx, "plan.delete", p.ID, p.Name)
	})
	if err != nil {
		return err
	}
	return c.stopUnfinished(ctx, last)
}

// DismissScan takes a scan out of the list of schedules; one that only waits is cancelled. What it found stays. Errors:
// ErrNotFound; ErrConflict while it is running.
func (c *Control) DismissScan(ctx context.Context, id string) error {
	scan, err := c.store.Scan(ctx, id)
	if err != nil {
		return err
	}
	if isRunning(scan) {
		return stillRunning("deleted")
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.HideScan(ctx, id); err != nil {
			return err
		}
		return c.audit(ctx, tx, "scan.dismiss", id, scan.Name)
	})
	if err != nil {
		return err
	}
	return c.stopUnfinished(ctx, id)
}

// stopUnfinished cancels a scan unless it is over, or was never there.
func (c *Control) stopUnfinished(ctx context.Context, scanID string) error {
	if scanID == "" {
		return nil
	}
	scan, err := c.store.Scan(ctx, scanID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && scan.State.Done() {
		return nil
	}
	if err != nil {
		return err
	}
	return c.StopScan(ctx, scanID)
}

// restingPlan returns a plan whose scan is not running.
func (c *Control) restingPlan(ctx context.Context, tx *store.Tx, id, what string) (*tidewaiter.Plan, error) {
	p, err := tx.Plan(ctx, id)
	if err != nil || p.LastScanID == "" {
		return p, err
	}
	scan, err := tx.Scan(ctx, p.LastScanID)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
	case err != nil:
		return nil, err
	case isRunning(scan):
		return nil, stillRunning(what)
	}
	return p, nil
}

func isRunning(s *tidewaiter.Scan) bool {
	return s.State == tidewaiter.ScanListing || s.State == tidewaiter.ScanScanning
}

func stillRunning(what string) error {
	return tidewaiter.Errorf(tidewaiter.ErrConflict, "the schedule is running and cannot be %s", what).WithFix("cancel it first, or wait")
}

// startPlans starts the plans that are due, in the transaction of StartDue. A plan for all of a registry waits while another
// scan of all of it is on its way.
func (c *Control) startPlans(ctx context.Context, tx *store.Tx, due []*tidewaiter.Plan) (int, error) {
	if len(due) == 0 {
		return 0, nil
	}
	busy, err := tx.UnfinishedScans(ctx)
	if err != nil {
		return 0, err
	}
	started := 0
	for _, p := range due {
		p, err := tx.Plan(ctx, p.ID) // now that it is locked
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && (p.Canceled || p.NextAt.After(c.now())) {
			continue
		}
		if err != nil {
			return 0, err
		}
		r, err := tx.Registry(ctx, p.RegistryID)
		if err != nil {
			return 0, err
		}
		scan := c.newScan(r, planned(p, r))
		if !scan.Partial && busy[r.ID] {
			continue
		}
		busy[r.ID] = busy[r.ID] || !scan.Partial
		if err := c.insertScans(ctx, tx, []*tidewaiter.Scan{scan}); err != nil {
			return 0, err
		}
		p.LastStartedAt, p.LastScanID, p.NextAt = c.now(), scan.ID, p.Due(c.now())
		if err := tx.PutPlan(ctx, p); err != nil {
			return 0, err
		}
		started++
	}
	return started, nil
}

// planned is how a plan scans its registry.
func planned(p *tidewaiter.Plan, r *tidewaiter.Registry) ScanRequest {
	scope := r.Scope.Narrow(p.Scope)
	req := ScanRequest{Lane: tidewaiter.LaneFresh, Force: p.Force, Scope: &scope, Name: p.Name, scheduleID: p.ID}
	if p.Force {
		req.Lane = tidewaiter.LaneRescan // mostly images that are known
	}
	return req
}
