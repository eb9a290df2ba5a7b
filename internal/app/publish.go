package app

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/publish"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openPublisher plugs what pushes results into registries into the queue.
func (a *App) openPublisher(connections *connector.Connector) {
	p := publish.New(publish.Config{
		Store: a.store, Jobs: a.queue, Now: time.Now, Log: a.cfg.Log,
		Open: func(ctx context.Context, id string) (publish.Registry, error) { return connections.Open(ctx, id) },
	})
	a.queue.Handle(publish.JobSweep, p.Sweep)
	a.queue.Handle(publish.JobPublish, p.Publish)
	a.queue.Periodic("publish", a.cfg.PublishEvery, tidewaiter.Job{Kind: publish.JobSweep, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
}
