package store

import (
	"context"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Generation returns the count kept under a setting; 0 when nothing was counted yet.
func (r *Reader) Generation(ctx context.Context, key string) (int64, error) {
	return r.generation(ctx, key, "")
}

// NextGeneration counts one more under a setting and returns the count. Other transactions that count or hold it wait until
// this one ends.
func (tx *Tx) NextGeneration(ctx context.Context, key string, now time.Time) (int64, error) {
	value, err := scalar[string](ctx, tx.Reader, `insert into settings as s (key, value, updated_at) values (?, '1', ?)
		on conflict (key) do update set value = cast(cast(s.value as bigint) + 1 as text), updated_at = excluded.updated_at
		returning value`, key, micros(now))
	if err != nil {
		return 0, fail(err, "count %s", key)
	}
	return count(key, value)
}

// HoldGeneration returns the count and keeps it from changing until this transaction ends.
func (tx *Tx) HoldGeneration(ctx context.Context, key string, now time.Time) (int64, error) {
	if tx.dialect == SQLite {
		return tx.generation(ctx, key, "")
	}
	n, err := tx.generation(ctx, key, " for share")
	if err != nil || n > 0 {
		return n, err
	}
	// A row that is not there cannot be held.
	if _, err := tx.exec(ctx, "insert into settings (key, value, updated_at) values (?, '0', ?) on conflict do nothing", key, micros(now)); err != nil {
		return 0, fail(err, "count %s", key)
	}
	return tx.generation(ctx, key, " for share")
}

func (r *Reader) generation(ctx context.Context, key, lock string) (int64, error) {
	found, err := rows[string](ctx, r, "select value from settings where key = ?"+lock, key)
	if err != nil || len(found) == 0 {
		return 0, fail(err, "count of %s", key)
	}
	return count(key, found[0])
}

func count(key, value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, tidewaiter.Errorf(tidewaiter.ErrMalformed, "setting %s holds no count", key)
	}
	return n, nil
}
