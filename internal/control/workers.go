package control

import (
	"context"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Worker is a process that works on jobs.
type Worker = store.Worker

// silent is after how long without a heartbeat a worker counts as away. One that lives sends three in a third of it.
const silent = 45 * time.Second

// WorkerAlive reports whether a worker has been heard of lately. It goes by the clocks of two machines, hence the wide
// margin.
func WorkerAlive(w Worker, now time.Time) bool { return now.Sub(w.HeartbeatAt) < silent }

// Workers returns all workers heard of within the last hour, living or not.
func (c *Control) Workers(ctx context.Context) ([]Worker, error) { return c.store.Workers(ctx) }

// RegistryHold is what keeps a registry's jobs from being begun.
type RegistryHold struct {
	Paused   time.Time // since when; zero when it is not paused
	NoWorker []string  // the labels it asks for that no living worker has all of; nil when one has
}

// Text says what keeps the registry waiting.
func (h RegistryHold) Text() string {
	if !h.Paused.IsZero() {
		return "the registry is paused since " + h.Paused.UTC().Format(time.RFC3339)
	}
	return "waiting for a worker with the labels " + strings.Join(h.NoWorker, ", ")
}

// RegistryHolds returns what keeps registries waiting, by id. One that nothing keeps has no entry.
func (c *Control) RegistryHolds(ctx context.Context, registries []*tidewaiter.Registry) (map[string]RegistryHold, error) {
	out := map[string]RegistryHold{}
	var asking []*tidewaiter.Registry
	for _, r := range registries {
		if !r.PausedAt.IsZero() {
			out[r.ID] = RegistryHold{Paused: r.PausedAt}
		}
		if len(r.Labels) > 0 {
			asking = append(asking, r)
		}
	}
	if len(asking) == 0 {
		return out, nil
	}
	workers, err := c.store.Workers(ctx)
	if err != nil {
		return nil, err
	}
	collections, err := c.store.Collections(ctx)
	if err != nil {
		return nil, err
	}
	now := c.now()
	for _, r := range asking {
		wanted := tidewaiter.ResolveCollections(r.Labels, collections)
		found := false
		for _, w := range workers {
			found = found || WorkerAlive(w, now) && tidewaiter.LabelsFit(w.Labels, wanted)
		}
		if !found {
			hold := out[r.ID]
			hold.NoWorker = wanted
			out[r.ID] = hold
		}
	}
	return out, nil
}
