package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) status() {
	handle(s, operation{noun: "status", id: "get-status", method: "GET", path: "/status", may: tidewaiter.MayReadSettings,
		summary: "What is running here, and by which advisories images are judged."}, s.getStatus)
}

func (s *server) getStatus(context.Context, *struct{}) (*body[client.Status], error) {
	out := client.Status{Version: s.Version}
	state := s.Control.Advisories()
	out.Advisories.CheckedAt, out.Advisories.Error = state.CheckedAt, state.Error
	if a := state.Current; a != nil {
		out.Advisories.Version, out.Advisories.Reference = a.Version, a.Reference
		out.Advisories.UpdatedAt, out.Advisories.FetchedAt = a.UpdatedAt, a.FetchedAt
	}
	return reply(out), nil
}
