package control

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The deliveries of webhooks as the surfaces see them.
type (
	WebhookDelivery = store.WebhookDelivery
	DeliveryFilter  = store.DeliveryFilter
	DeliveryState   = store.DeliveryState
)

// DeliveryWaiting is the state of a delivery that waits for its time, or for an earlier one of the same subject.
const DeliveryWaiting = store.DeliveryWaiting

// TestWebhook sends a webhook a test, on or off, and returns what came of it: a delivery that is done or dead. Errors:
// ErrNotFound.
func (c *Control) TestWebhook(ctx context.Context, id string) (*WebhookDelivery, error) {
	var w *tidewaiter.Webhook
	err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.Webhook(ctx, id); err != nil {
			return err
		}
		return c.audit(ctx, tx, "webhook.test", id, w.Name)
	})
	if err != nil {
		return nil, err
	}
	return c.sender.Test(ctx, w)
}

// WebhookDeliveries returns a page of deliveries without their messages, newest first, and the cursor of the next page.
func (c *Control) WebhookDeliveries(ctx context.Context, f DeliveryFilter) ([]*WebhookDelivery, string, error) {
	return c.store.WebhookDeliveries(ctx, f)
}

// WebhookDelivery returns one delivery with its message, or ErrNotFound.
func (c *Control) WebhookDelivery(ctx context.Context, id string) (*WebhookDelivery, error) {
	return c.store.WebhookDelivery(ctx, id)
}

// DeliveryCounts returns how many deliveries of a webhook there are by state.
func (c *Control) DeliveryCounts(ctx context.Context, webhookID string) (map[DeliveryState]int, error) {
	return c.store.DeliveryCounts(ctx, webhookID)
}

// ReplayDelivery has a delivery that has ended sent again, with the same id and for as long as a new one. Errors:
// ErrNotFound; ErrConflict when it is on its way.
func (c *Control) ReplayDelivery(ctx context.Context, id string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.ReplayDelivery(ctx, id, c.now()); err != nil {
			return err
		}
		return c.audit(ctx, tx, "webhook.replay", id, "")
	})
}

// ReplayDead has all dead deliveries of a webhook sent again, and returns how many. Errors: ErrNotFound.
func (c *Control) ReplayDead(ctx context.Context, webhookID string) (n int, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Webhook(ctx, webhookID); err != nil {
			return err
		}
		if n, err = tx.ReplayDead(ctx, webhookID, c.now()); err != nil {
			return err
		}
		return c.audit(ctx, tx, "webhook.replay", webhookID, fmt.Sprintf("%d deliveries", n))
	})
	return n, err
}

// JobDeliveryRetention removes deliveries that ended long ago. It takes no arguments.
const JobDeliveryRetention tidewaiter.JobKind = "webhook-retention"

// WorkDeliveryRetention does the job JobDeliveryRetention.
func (c *Control) WorkDeliveryRetention(ctx context.Context, _ tidewaiter.JobRun) error {
	keep, err := c.Retention(ctx)
	if err != nil {
		return err
	}
	began := c.now()
	for state, days := range map[DeliveryState]int{store.DeliveryDone: keep.Deliveries, store.DeliveryDead: keep.Dead} {
		for more := true; more && c.now().Sub(began) < purgeTime; {
			err := c.store.Update(ctx, func(tx *store.Tx) error {
				n, err := tx.ForgetDeliveries(ctx, state, began.AddDate(0, 0, -days), purgeBatch)
				more = n == purgeBatch
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
