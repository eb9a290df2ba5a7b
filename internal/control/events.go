package control

import (
	"context"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The events as the surfaces see them.
type (
	Delivery    = event.Delivery
	Event       = store.Event
	EventState  = store.EventState
	EventFilter = store.EventFilter
)

// MaxDelivery is the largest body of a delivery, in bytes.
const MaxDelivery = event.MaxBody

// StartEventScan puts a scan of one tag on the queue, in the lane of events and in the caller's transaction. Errors:
// ErrNotFound for an unknown registry.
func (c *Control) StartEventScan(ctx context.Context, tx *store.Tx, registryID string, t tidewaiter.Target) (*tidewaiter.Scan, error) {
	r, err := tx.Registry(ctx, registryID)
	if err != nil {
		return nil, err
	}
	scan := c.newScan(r, ScanRequest{Lane: tidewaiter.LaneEvent, Target: &t})
	return scan, c.insertScans(ctx, tx, []*tidewaiter.Scan{scan})
}

// ListEvents returns a page of events without their bodies, newest first, and the cursor of the next page.
func (c *Control) ListEvents(ctx context.Context, f EventFilter) ([]*Event, string, error) {
	return c.store.Events(ctx, f)
}

// Event returns one event with the body it came in. Errors: ErrNotFound.
func (c *Control) Event(ctx context.Context, id int64) (*Event, error) { return c.store.Event(ctx, id) }

// ReplayEvent has an event looked at once more; one that was not understood is read again first, which helps after an
// upgrade. Errors: ErrNotFound; ErrConflict when nothing can follow from it still, or its body was not kept.
func (c *Control) ReplayEvent(ctx context.Context, id int64) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		e, err := tx.Event(ctx, id)
		if err != nil {
			return err
		}
		if err := tx.ReopenEvent(ctx, id); err != nil {
			return err
		}
		if e.Name != "" {
			err = c.jobs.Enqueue(ctx, tx, event.NewJob(e.Name))
		} else {
			err = c.readAgain(ctx, tx, e)
		}
		if err != nil {
			return err
		}
		return c.audit(ctx, tx, "event.replay", strconv.FormatInt(id, 10), e.Name)
	})
}

// readAgain stores what an event's body holds as events of their own.
func (c *Control) readAgain(ctx context.Context, tx *store.Tx, e *Event) error {
	if e.Body == nil {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "the event's body was not kept, so there is nothing to replay")
	}
	d := Delivery{Header: e.Header, Body: e.Body}
	r, err := event.Read(d, nil) // its signature was checked when it came
	if err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "the event is still of no use: %w", err)
	}
	usable := r.Events[:0]
	for _, found := range r.Events {
		if found.Unusable == "" {
			usable = append(usable, found)
		}
	}
	if r.Events = usable; len(usable) == 0 {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "nothing follows from the event: %s", e.Reason)
	}
	again := c.pendingOf(e.RegistryID, d, r, e.Body)
	if err := tx.InsertEvents(ctx, again.delivery.Events, e.Body); err != nil {
		return err
	}
	if err := c.jobs.Enqueue(ctx, tx, again.jobs...); err != nil {
		return err
	}
	return tx.SettleEvents(ctx, []int64{e.ID}, store.EventDone, "read again and stored anew", nil)
}

// JobEventRetention removes events that are old enough. It takes no arguments.
const JobEventRetention tidewaiter.JobKind = "event-retention"

// WorkEventRetention does the job JobEventRetention.
func (c *Control) WorkEventRetention(ctx context.Context, _ tidewaiter.JobRun) error {
	keep, err := c.Retention(ctx)
	if err != nil {
		return err
	}
	for began := c.now(); c.now().Sub(began) < purgeTime; {
		n := 0
		err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.ForgetEvents(ctx, c.before(keep.Events), purgeBatch)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}
