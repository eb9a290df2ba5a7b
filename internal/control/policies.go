package control

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// PutPolicy stores a policy in place of the one of its kind. The caller has validated it.
func (c *Control) PutPolicy(ctx context.Context, p *tidewaiter.Policy) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutPolicy(ctx, p); err != nil {
			return err
		}
		return c.audit(ctx, tx, "policy.put", string(p.Kind), fmt.Sprintf("%d rules", len(p.Rules)))
	})
}

// PutCollection stores a collection in place of the one with its name.
func (c *Control) PutCollection(ctx context.Context, col *tidewaiter.Collection) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutCollection(ctx, col); err != nil {
			return err
		}
		return c.audit(ctx, tx, "collection.put", col.Name, "")
	})
}

// DeleteCollection removes a collection. Errors: ErrNotFound. That nothing refers to it any more is for the caller to see to.
func (c *Control) DeleteCollection(ctx context.Context, name string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteCollection(ctx, name); err != nil {
			return err
		}
		return c.audit(ctx, tx, "collection.delete", name, "")
	})
}
