package notify

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// tellBatch is how much of what has happened becomes deliveries in one transaction.
const tellBatch = 200

// Tell makes deliveries of everything that has happened so far.
func (n *Notifier) Tell(ctx context.Context) error {
	for _, tell := range []func(context.Context) (bool, error){n.tellHappenings, n.tellChanges} {
		for more := true; more; {
			var err error
			if more, err = tell(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellHappenings makes deliveries of the next things that happened to scans and registries.
func (n *Notifier) tellHappenings(ctx context.Context) (more bool, err error) {
	if there, err := n.Store.AnyHappenings(ctx); err != nil || !there {
		return false, err
	}
	err = n.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := n.maker(ctx, tx)
		if err != nil {
			return err
		}
		list, err := tx.TakeHappenings(ctx, tellBatch)
		if err != nil {
			return err
		}
		more = len(list) == tellBatch
		if err := m.scans(ctx, list); err != nil {
			return err
		}
		return m.save(ctx)
	})
	return more, err
}

// maker makes deliveries in one transaction.
type maker struct {
	*Notifier
	tx        *store.Tx
	now       time.Time
	webhooks  []*tidewaiter.Webhook // those that are on
	windows   map[string]store.WebhookWindow
	counted   map[string]bool // windows that have changed
	open      map[string]int  // deliveries on their way
	summaries map[string]*store.WebhookDelivery
	amended   map[string]bool // summaries that were there before
	out       []*store.WebhookDelivery
}

// maker begins to make deliveries. From here to the end of the transaction no other process does.
func (n *Notifier) maker(ctx context.Context, tx *store.Tx) (*maker, error) {
	if err := tx.LockHappenings(ctx); err != nil {
		return nil, err
	}
	all, err := tx.Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	m := &maker{Notifier: n, tx: tx, now: n.Now(), counted: map[string]bool{}, open: map[string]int{},
		summaries: map[string]*store.WebhookDelivery{}, amended: map[string]bool{}}
	for _, w := range all {
		if w.Disabled {
			continue
		}
		m.webhooks = append(m.webhooks, w)
		if m.open[w.ID], err = tx.OpenDeliveries(ctx, w.ID, maxBacklog); err != nil {
			return nil, err
		}
	}
	m.windows, err = tx.WebhookWindows(ctx)
	return m, err
}

// maxBacklog bounds how many deliveries of a webhook wait. Beyond it they are dead from the start, and can be replayed.
const maxBacklog = 100_000

// add has a webhook told of something. Deliveries of one order are sent one after the other.
func (m *maker) add(ctx context.Context, w *tidewaiter.Webhook, message tidewaiter.WebhookMessage, order string) error {
	message.ID = m.NewID()
	if message.Topic.OnImages() {
		summed, err := m.sumUp(ctx, w, &message)
		if err != nil || summed {
			return err
		}
	}
	m.deliver(w, &message, order, m.now)
	return nil
}

func (m *maker) deliver(w *tidewaiter.Webhook, message *tidewaiter.WebhookMessage, order string, due time.Time) *store.WebhookDelivery {
	d := &store.WebhookDelivery{ID: message.ID, WebhookID: w.ID, Topic: message.Topic, Subject: order, Title: message.Title,
		Message: message, State: store.DeliveryWaiting, CreatedAt: m.now, DueAt: due}
	if m.open[w.ID]++; m.open[w.ID] > maxBacklog {
		d.State, d.EndedAt, d.Error = store.DeliveryDead, m.now, "never sent: "+thousands(maxBacklog)+" earlier ones were waiting for the receiver"
	}
	m.out = append(m.out, d)
	return d
}

func (m *maker) save(ctx context.Context) error {
	for id := range m.counted {
		if err := m.tx.SaveWebhookWindow(ctx, id, m.windows[id]); err != nil {
			return err
		}
	}
	for id := range m.amended {
		if err := m.tx.UpdateMessage(ctx, m.summaries[id]); err != nil {
			return err
		}
	}
	return m.tx.InsertWebhookDeliveries(ctx, m.out)
}
