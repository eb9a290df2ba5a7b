package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// deletedAtOnce is how many images one transaction removes.
const deletedAtOnce = 500

// DeleteImages removes images and returns how many there were. An image that a tag still points to comes back with the next
// scan of the tag. Ids that do not exist are passed over. Errors: ErrConflict for one that is being scanned; what was removed
// before it stays removed.
func (c *Control) DeleteImages(ctx context.Context, ids ...int64) (removed int, err error) {
	for part := range slices.Chunk(ids, deletedAtOnce) {
		n := 0
		err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
			if n, err = tx.DeleteImages(ctx, part); err != nil {
				return err
			}
			return c.audit(ctx, tx, "images.delete", "", fmt.Sprintf("%d images", n))
		})
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}
