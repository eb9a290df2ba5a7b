package app

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// seed gives a fresh database the policies and collections of a fresh installation. What is there already stays.
func (a *App) seed(ctx context.Context) error {
	policies, collections := policy.Defaults()
	return a.store.Update(ctx, func(tx *store.Tx) error {
		for i := range policies {
			_, err := tx.Policy(ctx, policies[i].Kind)
			if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
				err = tx.PutPolicy(ctx, &policies[i])
			}
			if err != nil {
				return err
			}
		}
		have, err := tx.Collections(ctx)
		if err != nil || len(have) > 0 {
			return err
		}
		for i := range collections {
			if err := tx.PutCollection(ctx, &collections[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
