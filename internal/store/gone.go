package store

import (
	"context"

	"github.com/uptrace/bun"
)

// markGone marks those of the tags that no registry has in scope any more, and returns how many it marked. The caller
// has deleted rows of registry_tags; locking the tags before looking makes two callers that delete a tag's last two rows
// see each other.
func (tx *Tx) markGone(ctx context.Context, tagIDs []int64, now int64) (gone int, err error) {
	err = inChunks(tagIDs, func(part []int64) error {
		if tx.dialect == Postgres {
			if _, err := rows[int64](ctx, tx.Reader, "select id from tags where id in (?) order by id for update", bun.List(part)); err != nil {
				return err
			}
		}
		n, err := tx.exec(ctx, `update tags set gone_at = ? where id in (?) and gone_at = 0
			and not exists (select 1 from registry_tags rt where rt.tag_id = tags.id)`, now, bun.List(part))
		gone += int(n)
		return err
	})
	return gone, err
}
