package app

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/store"
)

// openEvents plugs what registries tell us into the queue.
func (a *App) openEvents(connections *connector.Connector) {
	w := event.NewWorker(event.Config{
		Store: a.store, Now: time.Now, Log: a.cfg.Log,
		Open:  func(ctx context.Context, id string) (event.Source, error) { return connections.Open(ctx, id) },
		Start: a.control.StartEventScan,
	})
	a.queue.Handle(event.Job, w.Work)
	a.queue.HandleFailure(event.Job, w.Failed)
	a.puller = event.NewPuller(event.PullConfig{
		Store: a.store, Holder: a.queue.ID(), Now: time.Now, Log: a.cfg.Log,
		Open: func(ctx context.Context, s *store.EventSource) (event.Queue, error) {
			return connections.OpenQueue(ctx, s)
		},
		Keep: func(ctx context.Context, registryID string, d event.Delivery) error {
			_, err := a.control.ReceivePulled(ctx, registryID, d)
			return err
		},
	})
}
