package storetest

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testScanWaits holds that what a scan waits for is shown once, and not any more when the scan has completed.
func testScanWaits(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	waits := tidewaiter.ScanError{Kind: tidewaiter.ErrAuth, Text: "refused"}
	note := func(e tidewaiter.ScanError) {
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.NoteScanWait(ctx, "scan", e) })
	}
	note(waits)
	note(waits)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddScanError(ctx, "scan", tidewaiter.ScanError{Kind: tidewaiter.ErrGone, Text: "gone"})
	})
	note(tidewaiter.ScanError{Kind: tidewaiter.ErrAuth, Text: "another"})
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.NoteScanWait(ctx, "no scan", waits) })
	texts := func() (out []string) {
		for _, e := range must(db.Scan(t.Context(), "scan"))(t).Errors {
			out = append(out, e.Text)
		}
		return out
	}
	same(t, "on its way", texts(), []string{"another", "gone", "refused"})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		done, err := tx.FinishScanIfDone(ctx, "scan", start)
		if !done {
			t.Error("the scan is not over")
		}
		return err
	})
	same(t, "over", texts(), []string{"gone"})
}
