package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// settingRejudge is the setting that says when somebody last asked for the fleet to be judged again.
const settingRejudge = "rejudge.asked"

// rejudgeAsked is what that setting holds.
type rejudgeAsked struct {
	Advisories string    `json:"advisories"`
	Force      bool      `json:"force,omitempty"`
	At         time.Time `json:"at"`
}

// Rejudging is how far the fleet is on its way to the advisories in use.
type Rejudging struct {
	Advisories string    // the version
	Forced     bool      // everything is looked up and judged, whatever seems to have changed
	AskedAt    time.Time // zero when nobody has asked: new advisories need no asking
	Left       store.RejudgeLeft
}

// Done reports whether every package and image is there.
func (r *Rejudging) Done() bool { return r.Left.Packages == 0 && r.Left.Images == 0 }

// Rejudge has the fleet judged by the advisories in use: what is judged by others or, forced, everything anew from the content
// that is stored. No registry is asked. Asked for again while it is on its way, it goes on. Errors: ErrConflict while there
// are no advisories.
func (c *Control) Rejudge(ctx context.Context, force bool) (*Rejudging, error) {
	fleet, err := c.fleetAdvisories(ctx)
	if err != nil {
		return nil, err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		now := c.now()
		asked := rejudgeAsked{Advisories: fleet.Version, Force: force, At: now}
		last, err := readRejudge(ctx, tx.Reader)
		if err != nil {
			return err
		}
		if last.Force && last.Advisories == fleet.Version {
			left, err := tx.RejudgeLeft(ctx, fleet.Version, last.At)
			if err != nil {
				return err
			}
			if left.Images > 0 || left.Packages > 0 {
				asked = last // still on its way; its job is queued again in case it was given up
			}
		}
		doc, err := json.Marshal(asked)
		if err != nil {
			return err
		}
		if err := tx.PutSetting(ctx, settingRejudge, string(doc), now); err != nil {
			return err
		}
		if err := c.jobs.Enqueue(ctx, tx, c.rejudgeJob(asked.Advisories, asked.Force)); err != nil {
			return err
		}
		detail := ""
		if force {
			detail = "forced"
		}
		return c.audit(ctx, tx, "advisories.rejudge", fleet.Version, detail)
	})
	if err != nil {
		return nil, err
	}
	return c.Rejudging(ctx)
}

// Rejudging says how far the fleet is. Errors: ErrConflict while there are no advisories.
func (c *Control) Rejudging(ctx context.Context) (*Rejudging, error) {
	fleet, err := c.fleetAdvisories(ctx)
	if err != nil {
		return nil, err
	}
	last, err := readRejudge(ctx, c.store.Reader)
	if err != nil {
		return nil, err
	}
	out := &Rejudging{Advisories: fleet.Version, AskedAt: last.At}
	since := time.Time{}
	if last.Force && last.Advisories == fleet.Version {
		out.Forced, since = true, last.At
	}
	out.Left, err = c.store.RejudgeLeft(ctx, fleet.Version, since)
	return out, err
}

func (c *Control) fleetAdvisories(ctx context.Context) (*tidewaiter.Advisories, error) {
	fleet, err := c.store.FleetAdvisories(ctx)
	if err == nil && fleet == nil {
		err = tidewaiter.Errorf(tidewaiter.ErrConflict, "there are no advisories to judge by").WithFix("wait until they are fetched, or import a file: tidewaiter advisories import")
	}
	return fleet, err
}

// readRejudge returns what was last asked for, the zero value when nothing was.
func readRejudge(ctx context.Context, r *store.Reader) (last rejudgeAsked, err error) {
	value, err := r.Setting(ctx, settingRejudge)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return last, nil
	}
	if err == nil && json.Unmarshal([]byte(value), &last) != nil {
		last = rejudgeAsked{}
	}
	return last, err
}
