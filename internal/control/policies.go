package control

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// PutPolicy stores a policy in place of the one of its kind and, when it judges stored images, has them judged by it. The
// caller has validated it.
func (c *Control) PutPolicy(ctx context.Context, p *tidewaiter.Policy) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if p.Kind == tidewaiter.PolicyVulnerability || p.Kind == tidewaiter.PolicyCompliance {
			if err := c.judgeAgain(ctx, tx); err != nil {
				return err
			}
		}
		if err := tx.PutPolicy(ctx, p); err != nil {
			return err
		}
		return c.audit(ctx, tx, "policy.put", string(p.Kind), fmt.Sprintf("%d rules", len(p.Rules)))
	})
}

// judgeAgain has every stored image judged by the policies as they will be when the transaction commits. It comes first in
// the transaction: what others want to change meanwhile waits here and nowhere else.
func (c *Control) judgeAgain(ctx context.Context, tx *store.Tx) error {
	if _, err := tx.NextGeneration(ctx, policy.GenerationKey, c.now()); err != nil {
		return err
	}
	return c.jobs.Enqueue(ctx, tx, policy.NewApplyJob())
}

// PutCollection stores a collection in place of the one with its name, and has images judged again.
func (c *Control) PutCollection(ctx context.Context, col *tidewaiter.Collection) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := c.judgeAgain(ctx, tx); err != nil {
			return err
		}
		if err := tx.PutCollection(ctx, col); err != nil {
			return err
		}
		return c.audit(ctx, tx, "collection.put", col.Name, "")
	})
}

// DeleteCollection removes a collection and has images judged again. Errors: ErrNotFound. That nothing refers to it any more is for the caller to see to.
func (c *Control) DeleteCollection(ctx context.Context, name string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := c.judgeAgain(ctx, tx); err != nil {
			return err
		}
		if err := tx.DeleteCollection(ctx, name); err != nil {
			return err
		}
		return c.audit(ctx, tx, "collection.delete", name, "")
	})
}
