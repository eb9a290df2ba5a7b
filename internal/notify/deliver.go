package notify

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// When a delivery that failed is tried again: after as long as it has been tried already, within these bounds, and until
// it is given up.
const (
	firstWait = 10 * time.Second
	longWait  = time.Hour
	giveUp    = 24 * time.Hour // since the first attempt
)

// dispatch begins to send what is due, as much as may be sent at once. It does not wait for the answers.
func (n *Notifier) dispatch(ctx context.Context) error {
	ids, err := n.Store.DueWebhooks(ctx, n.Now())
	if err != nil {
		return err
	}
	for _, id := range ids {
		w, err := n.Store.Webhook(ctx, id)
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			continue
		}
		if err != nil {
			return err
		}
		free := n.free(w)
		if free <= 0 {
			continue
		}
		var claimed []*store.WebhookDelivery
		err = n.Store.Update(ctx, func(tx *store.Tx) (err error) {
			claimed, err = tx.ClaimDeliveries(ctx, id, free, n.Now(), n.Now().Add(n.Hold))
			return err
		})
		if err != nil {
			return err
		}
		for _, d := range claimed {
			n.begin(ctx, w, d)
		}
	}
	return nil
}

// free returns how many more deliveries of a webhook may be sent now.
func (n *Notifier) free(w *tidewaiter.Webhook) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	most := perWebhook
	if w.Format == tidewaiter.FormatSlack {
		most = perSlackHook
	}
	return min(most-n.sending[w.ID], maxSending-n.total)
}

// begin sends a delivery in the background. One that is under way is not given up when the process is asked to stop: it
// has a bound of its own.
func (n *Notifier) begin(ctx context.Context, w *tidewaiter.Webhook, d *store.WebhookDelivery) {
	n.mu.Lock()
	n.sending[w.ID]++
	n.total++
	n.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	n.group.Go(func() {
		defer n.wakeUp()
		defer func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.total--
			if n.sending[w.ID]--; n.sending[w.ID] <= 0 {
				delete(n.sending, w.ID)
			}
		}()
		n.complain(ctx, "note what became of a delivery", n.settle(ctx, w, d, n.send(ctx, w, d)))
	})
}

// settle stores what came of an attempt.
func (n *Notifier) settle(ctx context.Context, w *tidewaiter.Webhook, d *store.WebhookDelivery, o outcome) error {
	now := n.Now()
	d.Status, d.Error = o.status, o.failure
	due, over := n.next(d, o, now)
	switch {
	case o.ok():
		d.State = store.DeliveryDone
	case over:
		d.State = store.DeliveryDead
	}
	mine := false
	err := n.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if o.retryAfter > 0 {
			if err := tx.PauseWebhook(ctx, w.ID, now.Add(o.retryAfter)); err != nil {
				return err
			}
		}
		if o.ok() || over {
			mine, err = tx.EndDelivery(ctx, d, now)
		} else {
			mine, err = tx.RetryDelivery(ctx, d, due)
		}
		return err
	})
	if err != nil || !mine {
		return err // somebody else took it for dead and sends it again
	}
	n.metrics.ended(o, over)
	attributes := []any{"webhook", w.Name, "delivery", d.ID, "topic", string(d.Topic), "attempt", d.Attempts, "status", o.status}
	switch {
	case o.ok():
		n.Log.Debug("webhook delivered", attributes...)
	case over:
		n.Log.Warn("webhook given up", append(attributes, "err", o.failure)...)
	default:
		n.Log.Info("webhook failed, will be sent again", append(attributes, "err", o.failure, "due", due)...)
	}
	return nil
}

// next says when to try again, or that it is over.
func (n *Notifier) next(d *store.WebhookDelivery, o outcome, now time.Time) (due time.Time, over bool) {
	last := d.BeganAt.Add(giveUp)
	if o.final || d.Topic == tidewaiter.TopicTest || !now.Before(last) {
		return time.Time{}, true
	}
	wait := max(firstWait, min(now.Sub(d.BeganAt), longWait))
	wait += time.Duration(n.Jitter() * float64(wait) / 4) // what failed together does not come back together
	due = now.Add(max(wait, o.retryAfter))
	if due.After(last) {
		due = last // one more time
	}
	return due, false
}

// Test sends a webhook a message of its own, on or off, at once and once. The delivery it returns says what came of it.
func (n *Notifier) Test(ctx context.Context, w *tidewaiter.Webhook) (*store.WebhookDelivery, error) {
	now := n.Now()
	m := &tidewaiter.WebhookMessage{ID: n.NewID(), Topic: tidewaiter.TopicTest, Time: now, Subject: w.Name, Title: "A test of the webhook " + w.Name,
		Data: tidewaiter.MessageData{Webhook: &tidewaiter.MessageRecipient{ID: w.ID, Name: w.Name}}}
	d := &store.WebhookDelivery{ID: m.ID, WebhookID: w.ID, Topic: m.Topic, Title: m.Title, Message: m, State: store.DeliverySending, Attempts: 1,
		CreatedAt: now, BeganAt: now, DueAt: now.Add(n.Hold)}
	if err := n.Store.Update(ctx, func(tx *store.Tx) error { return tx.InsertWebhookDeliveries(ctx, []*store.WebhookDelivery{d}) }); err != nil {
		return nil, err
	}
	d, err := n.Store.WebhookDelivery(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // it has a bound of its own
	if err := n.settle(ctx, w, d, n.send(ctx, w, d)); err != nil {
		return nil, err
	}
	return n.Store.WebhookDelivery(ctx, d.ID)
}
