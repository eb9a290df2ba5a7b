package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ImageChanges returns a page of what changed for an image since it was first judged, the latest first, and the cursor of
// the next page. Changes are kept as long as Retention says. Errors: ErrNotFound for a digest nobody has seen.
func (c *Control) ImageChanges(ctx context.Context, digest string, p Page) ([]tidewaiter.ImageChange, string, error) {
	img, err := c.ImageByDigest(ctx, digest)
	if err != nil {
		return nil, "", err
	}
	return c.ChangesOfImage(ctx, img.ID, p)
}

// PurgeChanges removes, in small steps, what changed for images too long ago, and what changed for packages and every image
// has been told of. It returns how many rows it removed.
func (c *Control) PurgeChanges(ctx context.Context) (removed int, err error) {
	keep, err := c.Retention(ctx)
	if err != nil {
		return 0, err
	}
	for _, purge := range []func(context.Context, *store.Tx) (int, error){
		func(ctx context.Context, tx *store.Tx) (int, error) {
			return tx.PurgeImageChanges(ctx, c.before(keep.Changes), purgeBatch)
		},
		func(ctx context.Context, tx *store.Tx) (int, error) { return tx.PurgeFindingChanges(ctx, purgeBatch) },
	} {
		for began := c.now(); c.now().Sub(began) < purgeTime; {
			n := 0
			err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
				n, err = purge(ctx, tx)
				return err
			})
			if removed += n; err != nil {
				return removed, err
			}
			if n < purgeBatch {
				break
			}
		}
	}
	return removed, nil
}
