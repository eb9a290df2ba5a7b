package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// Batch is a deliveryBatch for tests: each delivery is known by its body.
type Batch struct{ deliveryBatch }

// NewBatch returns a Batch that stores with a function.
func NewBatch(storing func(ctx context.Context, bodies []string) error) *Batch {
	b := &Batch{}
	b.store = func(ctx context.Context, batch []*pending) error {
		bodies := make([]string, len(batch))
		for i, p := range batch {
			bodies[i] = string(p.delivery.Body)
		}
		return storing(ctx, bodies)
	}
	return b
}

// Put stores a body.
func (b *Batch) Put(ctx context.Context, body string) error {
	return b.put(ctx, &pending{delivery: store.Delivery{Body: []byte(body)}})
}

// Gathered returns how many wait for the next batch.
func (b *Batch) Gathered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}
