package store

import (
	"context"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// NoteScanWait adds to a scan what it waits for, as an error that is Passing, unless it is noted already. A scan that does
// not exist any more is passed over.
func (tx *Tx) NoteScanWait(ctx context.Context, id string, e tidewaiter.ScanError) error {
	list, found, err := tx.lockScanErrors(ctx, id)
	noted := func(o tidewaiter.ScanError) bool { return o.Passing && o.Kind == e.Kind && o.Text == e.Text }
	if err != nil || !found || slices.ContainsFunc(list, noted) {
		return fail(err, "note what scan %s waits for", id)
	}
	e.Passing = true
	return fail(tx.writeScanErrors(ctx, id, slices.Insert(list, 0, e)), "note what scan %s waits for", id)
}

// dropPassing takes what a scan waited for out of its errors; the scan's row is locked.
func (tx *Tx) dropPassing(ctx context.Context, id string) error {
	list, _, err := tx.lockScanErrors(ctx, id)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(list), func(e tidewaiter.ScanError) bool { return e.Passing })
	if len(left) == len(list) {
		return nil
	}
	return tx.writeScanErrors(ctx, id, left)
}

// lockScanErrors reads a scan's errors, newest first, and locks its row.
func (tx *Tx) lockScanErrors(ctx context.Context, id string) (list []tidewaiter.ScanError, found bool, err error) {
	stored, err := rows[string](ctx, tx.Reader, "select errors from scans where id = ?"+tx.forUpdate(), id)
	if err != nil || len(stored) == 0 {
		return nil, false, err
	}
	err = fromText(stored[0], &list)
	return list, true, err
}

// writeScanErrors stores the newest of a scan's errors.
func (tx *Tx) writeScanErrors(ctx context.Context, id string, list []tidewaiter.ScanError) error {
	written, err := jsonText(list[:min(len(list), tidewaiter.MaxScanErrors)])
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, "update scans set errors = ?, updated_at = ? where id = ?", text(written), micros(tx.now()), id)
	return err
}
