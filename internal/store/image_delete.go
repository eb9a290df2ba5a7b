package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// DeleteImages removes images with what only they have, any number at once, and returns how many it removed. The tags that
// showed them stay, and the next scan takes each of them for new. Ids that do not exist are passed over. An image that is on
// its way to a result is ErrConflict and nothing is removed: scans wait for it.
func (tx *Tx) DeleteImages(ctx context.Context, ids []int64) (removed int, err error) {
	err = inChunks(distinct(ids), func(part []int64) error {
		type row struct {
			ID    int64
			State string
		}
		found, err := rows[row](ctx, tx.Reader, "select id, state from images where id in (?) order by id"+tx.forUpdate(), bun.List(part))
		if err != nil {
			return err
		}
		for _, r := range found {
			if r.State == string(tidewaiter.ImageWaiting) {
				return tidewaiter.Errorf(tidewaiter.ErrConflict, "an image is still being scanned").WithFix("wait until it is, or cancel the scan")
			}
		}
		// An image for another platform that such a tag shows stays shown, but does not answer for the tag any more.
		if _, err := tx.exec(ctx, `update tag_images set digest = '' where tag_id in
				(select o.tag_id from tag_images o where o.image_id in (?))`, bun.List(part)); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "delete from tag_images where image_id in (?)", bun.List(part)); err != nil {
			return err
		}
		n, err := tx.exec(ctx, "delete from images where id in (?)", bun.List(part))
		removed += int(n)
		return err
	})
	return removed, fail(err, "delete images")
}
