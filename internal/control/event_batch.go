package control

import (
	"context"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Bounds of what is stored in one transaction.
const (
	batchItems = 200
	batchBytes = 4 << 20 // of bodies; at least one delivery is taken
	batchTime  = 30 * time.Second
)

// deliveryBatch stores what comes in at the same time in one transaction: while one is under way, others gather for the
// next. Each waits until its own is committed, so that an answer still means that the events are stored.
type deliveryBatch struct {
	store func(context.Context, []*pending) error

	mu      sync.Mutex
	waiting []*pending
	busy    bool // somebody leads
}

// pending is one delivery on its way into the store.
type pending struct {
	delivery store.Delivery
	jobs     []tidewaiter.Job
	again    map[*Event]bool // which of its events were stored before
	lead     chan struct{}   // told to store the next batch, its own delivery first
	done     chan error
}

// put stores a delivery with others. It is not cut short by the caller's context: the others depend on it.
func (b *deliveryBatch) put(ctx context.Context, p *pending) error {
	p.lead, p.done = make(chan struct{}, 1), make(chan error, 1)
	b.mu.Lock()
	b.waiting = append(b.waiting, p)
	if !b.busy {
		b.busy = true
		p.lead <- struct{}{}
	}
	b.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-p.lead:
	}
	defer b.handOver() // whatever happens here, others wait
	b.run(context.WithoutCancel(ctx), b.next())
	return <-p.done
}

// handOver has the next one lead, if anybody waits.
func (b *deliveryBatch) handOver() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy = len(b.waiting) > 0; b.busy {
		b.waiting[0].lead <- struct{}{}
	}
}

// next takes a batch off the list.
func (b *deliveryBatch) next() []*pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, bytes := 0, 0
	for n < len(b.waiting) && n < batchItems {
		bytes += len(b.waiting[n].delivery.Body)
		if n > 0 && bytes > batchBytes {
			break
		}
		n++
	}
	batch := append([]*pending{}, b.waiting[:n]...)
	b.waiting = append(b.waiting[:0:0], b.waiting[n:]...)
	return batch
}

// run stores a batch. One that fails is stored one by one, so that nobody pays for another's delivery.
func (b *deliveryBatch) run(ctx context.Context, batch []*pending) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	answered := 0
	defer func() { // none is left waiting by a panic
		for _, p := range batch[answered:] {
			p.done <- errNotStored
		}
	}()
	err := b.store(ctx, batch)
	for _, p := range batch {
		one := err
		if err != nil && len(batch) > 1 && ctx.Err() == nil {
			one = b.store(ctx, []*pending{p})
		}
		p.done <- one
		answered++
	}
}

var errNotStored = tidewaiter.Errorf(tidewaiter.ErrTransient, "the event could not be stored")

// storeBatch stores deliveries and the jobs that look at their events, in one transaction. What a sender or a queue delivers
// again is not stored again.
func (c *Control) storeBatch(ctx context.Context, batch []*pending) error {
	return c.store.Update(store.Urgent(ctx), func(tx *store.Tx) error { // the sender waits, and what it sent is nowhere yet
		seen, err := tx.Delivered(ctx, deliveredIn(batch))
		if err != nil {
			return err
		}
		var list []store.Delivery
		var jobs []tidewaiter.Job
		for _, p := range batch {
			d := store.Delivery{Body: p.delivery.Body}
			p.again = map[*Event]bool{}
			for _, e := range p.delivery.Events {
				id, ok := identity(e)
				if ok && seen[id] {
					p.again[e] = true
					continue
				}
				if ok {
					seen[id] = true
				}
				d.Events = append(d.Events, e)
			}
			if len(d.Events) > 0 {
				list = append(list, d)
				jobs = append(jobs, p.jobs...)
			}
		}
		if err := tx.InsertDeliveries(ctx, list); err != nil {
			return err
		}
		return c.jobs.Enqueue(ctx, tx, jobs...)
	})
}

// identity returns what tells an event from all others; ok is false when nothing does.
func identity(e *Event) (id store.DeliveredEvent, ok bool) {
	return store.DeliveredEvent{RegistryID: e.RegistryID, DeliveryID: e.DeliveryID, Name: e.Name},
		e.RegistryID != "" && e.DeliveryID != "" && e.Name != ""
}

func deliveredIn(batch []*pending) (out []store.DeliveredEvent) {
	for _, p := range batch {
		for _, e := range p.delivery.Events {
			if id, ok := identity(e); ok {
				out = append(out, id)
			}
		}
	}
	return out
}
