package control

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// PauseRegistry has nothing begun any more that talks to a registry, within 2 seconds and until ResumeRegistry: what runs
// goes on, scans that are asked for wait. Results stay, and go on being judged. Errors: ErrNotFound.
func (c *Control) PauseRegistry(ctx context.Context, id string) error {
	return c.pauseRegistry(ctx, id, c.now(), "registry.pause")
}

// ResumeRegistry undoes PauseRegistry. Errors: ErrNotFound.
func (c *Control) ResumeRegistry(ctx context.Context, id string) error {
	return c.pauseRegistry(ctx, id, time.Time{}, "registry.resume")
}

func (c *Control) pauseRegistry(ctx context.Context, id string, since time.Time, action string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Registry(ctx, id)
		if err != nil {
			return err
		}
		changed, err := tx.PauseRegistries(ctx, []string{id}, since)
		if err != nil || changed == 0 {
			return err
		}
		return c.audit(ctx, tx, action, id, r.URL)
	})
}
