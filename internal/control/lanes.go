package control

import (
	"context"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Lanes are what jobs wait in.
type Lanes interface {
	// States returns every lane.
	States(ctx context.Context) (map[tidewaiter.Lane]LaneState, error)
	// Pause has no other job of a lane begun, in whichever process; Resume undoes that. Both hold until the other is called.
	Pause(ctx context.Context, lane tidewaiter.Lane) error
	Resume(ctx context.Context, lane tidewaiter.Lane) error
	// CancelIn takes away what waits in a lane for registries, and stops what runs.
	CancelIn(ctx context.Context, lane tidewaiter.Lane, registryIDs []string) error
}

// LaneState is how much there is to do in a lane, over all processes.
type LaneState struct {
	Paused  bool
	Waiting int       // jobs that could run now
	Later   int       // jobs that have a time to wait for
	Running int       // jobs
	Oldest  time.Time // since when the first in line could have been running; zero when none waits
}

// LaneStates returns every lane.
func (c *Control) LaneStates(ctx context.Context) (map[tidewaiter.Lane]LaneState, error) {
	return c.lanes.States(ctx)
}

// PauseLane has no other job of a lane begun, within 2 seconds and until ResumeLane: jobs that run go on, what is asked for
// waits. Errors: ErrInvalid on field "lane".
func (c *Control) PauseLane(ctx context.Context, lane tidewaiter.Lane) error {
	if err := c.lanes.Pause(ctx, lane); err != nil {
		return err
	}
	return c.auditAlone(ctx, "lane.pause", string(lane), "")
}

// ResumeLane undoes PauseLane.
func (c *Control) ResumeLane(ctx context.Context, lane tidewaiter.Lane) error {
	if err := c.lanes.Resume(ctx, lane); err != nil {
		return err
	}
	return c.auditAlone(ctx, "lane.resume", string(lane), "")
}

// CancelLane ends the scans that are on their way in a lane, within 2 seconds, and returns how many there were. Results found
// so far stay. The scans are closed before their jobs are taken away, as in StopScans. Errors: ErrInvalid on field "lane".
func (c *Control) CancelLane(ctx context.Context, lane tidewaiter.Lane) (int, error) {
	if lane != tidewaiter.LaneInteractive && lane != tidewaiter.LaneEvent && lane != tidewaiter.LaneFresh && lane != tidewaiter.LaneRescan {
		return 0, tidewaiter.Invalid("lane", "there are no scans in lane %q", lane).WithFix("interactive, event, fresh or rescan")
	}
	unfinished, err := every(func(p store.Page) ([]*tidewaiter.Scan, string, error) {
		return c.store.Scans(ctx, store.ScanFilter{Unfinished: true, Page: p})
	})
	if err != nil {
		return 0, err
	}
	canceled := 0
	registries := map[string]bool{}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		canceled = 0
		for _, s := range unfinished {
			if s.Lane != lane {
				continue
			}
			registries[s.RegistryID] = true
			canceled++
			if err := tx.CancelScan(ctx, s.ID, c.now()); err != nil {
				return err
			}
		}
		return c.audit(ctx, tx, "lane.cancel", string(lane), fmt.Sprintf("%d scans", canceled))
	})
	if err != nil || canceled == 0 {
		return canceled, err
	}
	ids := make([]string, 0, len(registries))
	for id := range registries {
		ids = append(ids, id)
	}
	return canceled, c.lanes.CancelIn(ctx, lane, ids)
}

// auditAlone leaves a line in the audit log about something that is not in the store.
func (c *Control) auditAlone(ctx context.Context, action, subject, detail string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error { return c.audit(ctx, tx, action, subject, detail) })
}
