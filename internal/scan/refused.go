package scan

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// refused notes with a scan that it waits for another credential, where that is what the error means, and returns the
// error. scanID is "" for the scan of a whole registry that is on its way.
func (p *Pipeline) refused(ctx context.Context, registryID, scanID string, err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || e.Kind != tidewaiter.ErrAuth || e.RetryAfter == 0 {
		return err
	}
	if scanID == "" {
		scan, lookup := p.Store.UnfinishedScan(ctx, registryID)
		if lookup != nil || scan == nil {
			return err
		}
		scanID = scan.ID
	}
	noting := p.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.NoteScanWait(ctx, scanID, tidewaiter.ScanError{Kind: e.Kind, Text: e.Error(), At: p.Now()})
	})
	if noting != nil {
		p.Log.Warn("what a scan waits for is not noted", "scan", scanID, "err", noting)
	}
	return err
}
