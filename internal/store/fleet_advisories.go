package store

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// fleetAdvisories is the setting that holds the advisories all processes judge by.
const fleetAdvisories = "advisories.current"

// FleetAdvisories returns the advisories all processes judge by; nil while no process had any.
func (r *Reader) FleetAdvisories(ctx context.Context) (*tidewaiter.Advisories, error) {
	return r.fleetAdvisories(ctx, "")
}

// HoldFleetAdvisories is FleetAdvisories and keeps them from changing until this transaction ends.
func (tx *Tx) HoldFleetAdvisories(ctx context.Context) (*tidewaiter.Advisories, error) {
	if tx.dialect == SQLite {
		return tx.fleetAdvisories(ctx, "")
	}
	adv, err := tx.fleetAdvisories(ctx, " for share")
	if err != nil || adv != nil {
		return adv, err
	}
	if err := tx.makeFleetAdvisories(ctx); err != nil {
		return nil, err
	}
	return tx.fleetAdvisories(ctx, " for share")
}

// LockFleetAdvisories is FleetAdvisories for a transaction that may change them: others that hold or lock them wait.
func (tx *Tx) LockFleetAdvisories(ctx context.Context) (*tidewaiter.Advisories, error) {
	if err := tx.makeFleetAdvisories(ctx); err != nil {
		return nil, err
	}
	return tx.fleetAdvisories(ctx, tx.forUpdate())
}

// makeFleetAdvisories makes the row, as one that is not there cannot be held.
func (tx *Tx) makeFleetAdvisories(ctx context.Context) error {
	_, err := tx.exec(ctx, "insert into settings (key, value, updated_at) values (?, '', 0) on conflict do nothing", fleetAdvisories)
	return fail(err, "prepare the advisories of the fleet")
}

// PutFleetAdvisories stores which advisories all processes judge by from now on. Lock them first.
func (tx *Tx) PutFleetAdvisories(ctx context.Context, adv tidewaiter.Advisories, now time.Time) error {
	doc, err := jsonText(adv)
	if err != nil {
		return err
	}
	return tx.PutSetting(ctx, fleetAdvisories, doc, now)
}

func (r *Reader) fleetAdvisories(ctx context.Context, lock string) (*tidewaiter.Advisories, error) {
	found, err := rows[string](ctx, r, "select value from settings where key = ?"+lock, fleetAdvisories)
	if err != nil || len(found) == 0 || found[0] == "" {
		return nil, fail(err, "read the advisories of the fleet")
	}
	adv := new(tidewaiter.Advisories)
	return adv, fromText(found[0], adv)
}
