package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) workers() {
	handle(s, operation{noun: "workers", id: "list-workers", method: "GET", path: "/workers", may: tidewaiter.MayReadSettings,
		summary: "The processes that work on jobs, servers included, and those heard of within the last hour."}, s.listWorkers)
	handle(s, operation{noun: "registries", id: "pause-registry", method: "POST", path: "/registries/{id}/pause", may: tidewaiter.MayWriteRegistries, status: 204,
		summary: "Begin nothing any more that talks to a registry, until it is resumed. What runs goes on, results stay."}, s.pauseRegistry)
	handle(s, operation{noun: "registries", id: "resume-registry", method: "POST", path: "/registries/{id}/resume", may: tidewaiter.MayWriteRegistries, status: 204,
		summary: "Talk to a registry again."}, s.resumeRegistry)
}

func (s *server) listWorkers(ctx context.Context, _ *struct{}) (*body[client.Page[client.Worker]], error) {
	workers, err := s.Control.Workers(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	out := client.Page[client.Worker]{Items: make([]client.Worker, len(workers))}
	for i, w := range workers {
		lanes := map[string]int{}
		for lane, n := range w.Lanes {
			lanes[string(lane)] = n
		}
		out.Items[i] = client.Worker{ID: w.ID, Name: w.Name, Alive: control.WorkerAlive(w, now), Heartbeat: w.HeartbeatAt, StartedAt: w.StartedAt,
			Version: w.Version, Labels: w.Labels, Lanes: lanes, Running: w.Running, Advisories: w.Advisories}
	}
	return reply(out), nil
}

type pausedRegistry struct {
	ID string `path:"id" maxLength:"256" doc:"Id of a declared registry."`
}

func (s *server) pauseRegistry(ctx context.Context, in *pausedRegistry) (*struct{}, error) {
	return nil, s.Control.PauseRegistry(ctx, in.ID)
}

func (s *server) resumeRegistry(ctx context.Context, in *pausedRegistry) (*struct{}, error) {
	return nil, s.Control.ResumeRegistry(ctx, in.ID)
}
