package scan

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Several processes judge for one fleet. They all do so by the same advisories, those the store names: what one of them
// matched by others would otherwise be stored after the fleet has moved on, and stay.

// errOtherAdvisories says that what was matched is not by the advisories the fleet goes by. It is tried again by whoever has
// those.
func errOtherAdvisories() error {
	return &tidewaiter.Error{Kind: tidewaiter.ErrTransient, Msg: "the fleet has other advisories than this process", RetryAfter: time.Second}
}

// underAdvisories makes sure, in the transaction that stores what was matched, that the fleet goes by the same advisories
// until the transaction ends.
func (p *Pipeline) underAdvisories(ctx context.Context, tx *store.Tx, version string) error {
	fleet, err := tx.HoldFleetAdvisories(ctx)
	if err == nil && fleet != nil && fleet.Version != version {
		err = errOtherAdvisories()
	}
	return err
}

// fleetHas reports whether the fleet goes by these advisories, or has never been told of any.
func (p *Pipeline) fleetHas(ctx context.Context, version string) (bool, error) {
	fleet, err := p.Store.FleetAdvisories(ctx)
	return err == nil && (fleet == nil || fleet.Version == version), err
}
