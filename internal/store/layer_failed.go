package store

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// LayerFailed ends the attempt to get a layer from a registry; "" is every registry. The images that waited for it there have
// failed: one that was never judged is ImageFailed, one that was keeps its judgement with the error beside it, and their tags
// are settled as failed. While images of other registries wait for the layer it stays pending, as these have jobs of their
// own. A layer that is done meanwhile is left alone.
func (tx *Tx) LayerFailed(ctx context.Context, diffID, analyzer, registryID string, kind tidewaiter.ErrorKind, msg string, now time.Time) (settledScans []string, err error) {
	// The row's lock comes first, as everywhere: nobody comes to wait for the layer meanwhile.
	state, err := rows[string](ctx, tx.Reader, "select state from layers where diff_id = ? and analyzer = ?"+tx.forUpdate(),
		text(diffID), analyzer)
	if err != nil || len(state) > 0 && state[0] == string(LayerDone) {
		return nil, fail(err, "store the failure of layer %s", diffID)
	}
	failed, err := tx.endWaits(ctx, diffID, analyzer, registryID)
	if err != nil {
		return nil, fail(err, "store the failure of layer %s", diffID)
	}
	if _, err = tx.exec(ctx, `insert into layers as l (diff_id, analyzer, state, error_kind, error, created_at, analyzed_at)
			select cast(? as text), cast(? as text), 'failed', cast(? as text), cast(? as text), cast(? as bigint), cast(? as bigint)
			where not exists (select 1 from image_waits where diff_id = ? and analyzer = ?)
			on conflict (diff_id, analyzer) do update set state = 'failed', error_kind = excluded.error_kind,
				error = excluded.error, analyzed_at = excluded.analyzed_at, owner = '', lease_until = 0
			where l.state <> 'done'`,
		text(diffID), analyzer, string(kind), text(msg), micros(now), micros(now), text(diffID), analyzer); err == nil {
		settledScans, err = tx.failImages(ctx, failed, kind, msg, now)
	}
	return settledScans, fail(err, "store the failure of layer %s", diffID)
}
