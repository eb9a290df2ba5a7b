package app

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// lanesOf shows control the queue's lanes.
type lanesOf struct {
	*queue.Queue
	store *store.DB
}

// States returns every lane.
func (l lanesOf) States(ctx context.Context) (map[tidewaiter.Lane]control.LaneState, error) {
	stats, err := l.Stats(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := l.Paused(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[tidewaiter.Lane]control.LaneState, len(stats))
	for lane, s := range stats {
		out[lane] = control.LaneState{Paused: paused[lane], Waiting: s.Waiting, Later: s.Later, Running: s.Running, Oldest: s.Oldest}
	}
	return out, nil
}

// CancelIn takes away what waits in a lane for registries, and stops what runs.
func (l lanesOf) CancelIn(ctx context.Context, lane tidewaiter.Lane, registryIDs []string) error {
	return l.store.Update(ctx, func(tx *store.Tx) error {
		_, _, err := l.Cancel(ctx, tx, queue.Selection{RegistryIDs: registryIDs, Lanes: []tidewaiter.Lane{lane}})
		return err
	})
}
