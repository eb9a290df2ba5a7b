package store

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// settled is what came of a tag a scan had to answer for.
type settled int

const (
	settledDone settled = iota
	settledFailed
	settledNoImage
)

// settleTags takes tags off every scan that waits for them, counts them there as done or failed, and returns the scans.
// Deleting the row is what counts, so a tag counts once per scan however often it is settled.
func (tx *Tx) settleTags(ctx context.Context, tagIDs []int64, as settled) ([]string, error) {
	counts := map[string]int{}
	err := inChunks(distinct(tagIDs), func(part []int64) error {
		scans, err := rows[string](ctx, tx.Reader, "delete from scan_tags where tag_id in (?) returning scan_id", bun.List(part))
		for _, id := range scans {
			counts[id]++
		}
		return err
	})
	if err != nil || len(counts) == 0 {
		return nil, err
	}
	scans := make([]string, 0, len(counts))
	for id := range counts {
		scans = append(scans, id)
	}
	slices.Sort(scans)
	for _, id := range scans {
		var c ScanCounts
		switch as {
		case settledDone:
			c.ImagesDone = counts[id]
		case settledFailed:
			c.ImagesFailed = counts[id]
		case settledNoImage:
			c.ImagesTotal = -counts[id] // the scan does not answer for it after all
		}
		if err := tx.AddScanCounts(ctx, id, c); err != nil {
			return nil, err
		}
	}
	return scans, nil
}

// lockTags locks the rows of tags in the order of ids.
func (tx *Tx) lockTags(ctx context.Context, ids []int64) error {
	if tx.dialect == SQLite {
		return nil
	}
	return inChunks(distinct(ids), func(part []int64) error {
		_, err := rows[int64](ctx, tx.Reader, "select id from tags where id in (?) order by id for update", bun.List(part))
		return err
	})
}

// showTags settles those of the tags whose images, those of the digest the tag points to, are all judged by the analyzer
// and wait for nothing: these images are shown from now on and earlier ones are not. A tag that points to no image
// (an artifact) shows nothing and is settled too, but only when it is in mayBeEmpty.
func (tx *Tx) showTags(ctx context.Context, tagIDs []int64, analyzer string, mayBeEmpty bool) (settledScans []string, shown []int64, err error) {
	tagIDs = distinct(tagIDs)
	if err := tx.lockTags(ctx, tagIDs); err != nil {
		return nil, nil, err
	}
	has := " and exists (select 1 from tag_images ti where ti.tag_id = t.id and ti.digest = t.digest)"
	if mayBeEmpty {
		has = ""
	}
	err = inChunks(tagIDs, func(part []int64) error {
		// A statement of its own: it sees what was committed while the locks were waited for.
		found, err := rows[int64](ctx, tx.Reader, `select t.id from tags t where t.id in (?)`+has+` and not exists (
				select 1 from tag_images ti join images i on i.id = ti.image_id
				where ti.tag_id = t.id and ti.digest = t.digest and (i.state <> 'judged' or i.waiting > 0 or i.analyzer <> ?))
			order by t.id`, bun.List(part), analyzer)
		if err != nil || len(found) == 0 {
			return err
		}
		shown = append(shown, found...)
		for _, query := range []string{
			"delete from tag_images where tag_id in (?) and digest <> (select t.digest from tags t where t.id = tag_images.tag_id)",
			"update tag_images set shown = true where tag_id in (?) and not shown",
			"update tags set error_kind = '', error = '', error_at = 0 where id in (?) and error_kind <> ''",
		} {
			if _, err := tx.exec(ctx, query, bun.List(found)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	settledScans, err = tx.settleTags(ctx, shown, settledDone)
	return settledScans, shown, err
}

// failImages stores that the last attempt on images failed, and settles the tags that point to them as failed.
func (tx *Tx) failImages(ctx context.Context, ids []int64, kind tidewaiter.ErrorKind, msg string, now time.Time) ([]string, error) {
	var tags []int64
	err := inChunks(distinct(ids), func(part []int64) error {
		if err := tx.lockImages(ctx, part); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `update images set error_kind = ?, error = ?, updated_at = ?,
				state = case when state = 'judged' then state else 'failed' end where id in (?)`,
			string(kind), text(msg), micros(now), bun.List(part)); err != nil {
			return err
		}
		found, err := rows[int64](ctx, tx.Reader, `select ti.tag_id from tag_images ti join tags t on t.id = ti.tag_id
			where ti.image_id in (?) and ti.digest = t.digest`, bun.List(part))
		tags = append(tags, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return tx.failTags(ctx, tags, kind, msg, now)
}

func (tx *Tx) failTags(ctx context.Context, ids []int64, kind tidewaiter.ErrorKind, msg string, now time.Time) ([]string, error) {
	ids = distinct(ids)
	if err := tx.lockTags(ctx, ids); err != nil {
		return nil, err
	}
	err := inChunks(ids, func(part []int64) error {
		_, err := tx.exec(ctx, "update tags set error_kind = ?, error = ?, error_at = ? where id in (?)",
			string(kind), text(msg), micros(now), bun.List(part))
		return err
	})
	if err != nil {
		return nil, err
	}
	return tx.settleTags(ctx, ids, settledFailed)
}

// ImageFailed stores that the last attempt on an image failed. One that was judged before keeps its judgement, with the
// error beside it. The tags that point to it get the error and are settled as failed.
func (tx *Tx) ImageFailed(ctx context.Context, imageID int64, kind tidewaiter.ErrorKind, msg string, now time.Time) (settledScans []string, err error) {
	settledScans, err = tx.failImages(ctx, []int64{imageID}, kind, msg, now)
	return settledScans, fail(err, "store the failure of image %d", imageID)
}

// TagFailed stores that the last attempt on a tag failed and settles it as failed. What it showed before it still shows.
func (tx *Tx) TagFailed(ctx context.Context, tagID int64, kind tidewaiter.ErrorKind, msg string, now time.Time) (settledScans []string, err error) {
	settledScans, err = tx.failTags(ctx, []int64{tagID}, kind, msg, now)
	return settledScans, fail(err, "store the failure of tag %d", tagID)
}

// SettleTag settles a tag as done that turned out to need nothing, such as one an earlier job of the same scan did. What
// it shows stays as it is.
func (tx *Tx) SettleTag(ctx context.Context, tagID int64) (settledScans []string, err error) {
	settledScans, err = tx.settleTags(ctx, []int64{tagID}, settledDone)
	return settledScans, fail(err, "settle tag %d", tagID)
}
