package store

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ScanCounts is what to add to a scan's counts.
type ScanCounts struct {
	Repositories       int
	RepositoriesListed int
	TagsSeen           int
	TagsSelected       int
	ImagesTotal        int
	ImagesDone         int
	ImagesFailed       int
}

// AddScanCounts adds to a scan's counts. A scan that does not exist any more is passed over.
func (tx *Tx) AddScanCounts(ctx context.Context, id string, c ScanCounts) error {
	_, err := tx.exec(ctx, `update scans set repositories = repositories + ?, repositories_listed = repositories_listed + ?,
			tags_seen = tags_seen + ?, tags_selected = tags_selected + ?, images_total = images_total + ?,
			images_done = images_done + ?, images_failed = images_failed + ?, updated_at = ? where id = ?`,
		c.Repositories, c.RepositoriesListed, c.TagsSeen, c.TagsSelected, c.ImagesTotal, c.ImagesDone, c.ImagesFailed,
		micros(tx.now()), id)
	return fail(err, "count for scan %s", id)
}

// AddScanError adds an error to a scan, newest first, and keeps the newest tidewaiter.MaxScanErrors. A scan that does not
// exist any more is passed over.
func (tx *Tx) AddScanError(ctx context.Context, id string, e tidewaiter.ScanError) error {
	list, found, err := tx.lockScanErrors(ctx, id)
	if err != nil || !found {
		return fail(err, "add an error to scan %s", id)
	}
	return fail(tx.writeScanErrors(ctx, id, slices.Insert(list, 0, e)), "add an error to scan %s", id)
}

// Checkpoint returns where a scan's listing stands, "" at its beginning; ErrNotFound when there is no such scan.
func (r *Reader) Checkpoint(ctx context.Context, scanID string) (string, error) {
	s, err := scalar[string](ctx, r, "select checkpoint from scans where id = ?", text(scanID))
	return s, fail(err, "checkpoint of scan %s", scanID)
}

// SaveCheckpoint stores where a scan's listing stands; ErrNotFound when there is no such scan.
func (tx *Tx) SaveCheckpoint(ctx context.Context, scanID, checkpoint string) error {
	res, err := tx.raw("update scans set checkpoint = ?, updated_at = ? where id = ?", checkpoint, micros(tx.now()), scanID).Exec(ctx)
	return fail(one(res, err), "save the checkpoint of scan %s", scanID)
}

// OpenScanTags makes tags outstanding in a scan, any number at once; a tag that is already stays so. It counts nothing:
// the caller adds them to ImagesTotal. Call it in the transaction that enqueues the tags' jobs. What settles a tag takes
// it off and counts it as done or failed.
func (tx *Tx) OpenScanTags(ctx context.Context, scanID string, tagIDs []int64) error {
	type row struct {
		bun.BaseModel `bun:"table:scan_tags"`
		ScanID        string
		TagID         int64
	}
	return fail(inChunks(distinct(tagIDs), func(part []int64) error {
		rows := make([]row, len(part))
		for i, id := range part {
			rows[i] = row{ScanID: scanID, TagID: id}
		}
		_, err := tx.insert(&rows).On("conflict do nothing").Exec(ctx)
		return err
	}), "add tags to scan %s", scanID)
}

// OutstandingTags returns the ids of tags a scan still waits for, in ascending order after the one given, at most limit.
func (r *Reader) OutstandingTags(ctx context.Context, scanID string, after int64, limit int) ([]int64, error) {
	ids, err := rows[int64](ctx, r, "select tag_id from scan_tags where scan_id = ? and tag_id > ? order by tag_id limit ?",
		scanID, after, limit)
	return ids, fail(err, "list the outstanding tags of scan %s", scanID)
}

// CancelScan ends a scan as canceled and forgets what it still waits for. A scan that is over already, or does not exist,
// is passed over.
func (tx *Tx) CancelScan(ctx context.Context, id string, now time.Time) error {
	n, err := tx.exec(ctx, "update scans set state = 'canceled', ended_at = ?, updated_at = ? where id = ? and "+unfinishedStates,
		micros(now), micros(now), id)
	if err == nil && n > 0 {
		_, err = tx.exec(ctx, "delete from scan_tags where scan_id = ?", id)
		if err == nil {
			err = tx.tellScanEnded(ctx, id, now)
		}
	}
	if err == nil && n > 0 {
		err = tx.scanEnded(ctx, id)
	}
	return fail(err, "cancel scan %s", id)
}

// FinishScanIfDone ends a scan that is past its listing and waits for no tag any more: failed when it has an Error or
// when it found repositories and could list none of them, completed otherwise. Of all callers exactly one gets true.
// Call it after every method that returns settled scans, in the same transaction, and when the listing ends.
func (tx *Tx) FinishScanIfDone(ctx context.Context, scanID string, now time.Time) (bool, error) {
	// The row's lock comes first and the look at scan_tags in a statement of its own: whoever settled a tag holds the
	// lock until its deletion can be seen, so the last one to get here sees all of them.
	state, err := rows[string](ctx, tx.Reader, "select state from scans where id = ?"+tx.forUpdate(), scanID)
	if err != nil || len(state) == 0 || state[0] != string(tidewaiter.ScanScanning) {
		return false, fail(err, "finish scan %s", scanID)
	}
	waited, err := rows[bool](ctx, tx.Reader, `update scans set ended_at = ?, updated_at = ?, state = case
				when error <> '' then 'failed'
				when repositories > 0 and repositories_listed = 0 and images_total = 0 and errors not in ('', 'null', '[]') then 'failed'
				else 'completed' end
			where id = ? and state = 'scanning' and not exists (select 1 from scan_tags t where t.scan_id = scans.id)
			returning lane = 'interactive' and target <> ''`,
		micros(now), micros(now), scanID)
	if err == nil && len(waited) > 0 {
		if err = tx.dropPassing(ctx, scanID); err == nil {
			err = tx.tellScanEnded(ctx, scanID, now)
		}
	}
	if err == nil && len(waited) > 0 && waited[0] {
		err = tx.scanEnded(ctx, scanID)
	}
	return len(waited) > 0, fail(err, "finish scan %s", scanID)
}
