package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// StopScan cancels one scan. What it has found so far stays, and so does other work for the registry: jobs that are under way
// for this scan alone end at their next step. A scan that is over already is passed over. Errors: ErrNotFound.
func (c *Control) StopScan(ctx context.Context, id string) error {
	scan, err := c.store.Scan(ctx, id)
	if err != nil {
		return err
	}
	others, _, err := c.store.Scans(ctx, store.ScanFilter{RegistryIDs: []string{scan.RegistryID}, Unfinished: true})
	if err != nil {
		return err
	}
	if len(others) == 1 && others[0].ID == id { // nobody else's work is in the way
		if err := c.jobs.CancelRegistry(ctx, scan.RegistryID); err != nil {
			return err
		}
	}
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CancelScan(ctx, id, c.now()); err != nil {
			return err
		}
		return c.audit(ctx, tx, "scan.stop", id, "")
	})
}
