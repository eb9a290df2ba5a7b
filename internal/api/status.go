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

func (s *server) getStatus(ctx context.Context, _ *struct{}) (*body[client.Status], error) {
	out := client.Status{Version: s.Version, Feeds: []client.FeedState{}}
	feeds, err := s.Control.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range tidewaiter.FeedKinds() {
		if f, ok := feeds[kind]; ok {
			out.Feeds = append(out.Feeds, client.FeedState{Kind: string(kind), Release: f.Release, Date: f.Date, Entries: f.Entries, Source: f.Source, FetchedAt: f.FetchedAt})
		}
	}
	if out.Database.Kind, out.Database.Bytes, err = s.Control.Database(ctx); err != nil {
		return nil, err
	}
	kept, err := s.Control.Retention(ctx)
	if err != nil {
		return nil, err
	}
	out.Retention = client.Retention{Gone: kept.Gone, History: kept.History, Changes: kept.Changes, Events: kept.Events, Deliveries: kept.Deliveries,
		DeadDeliveries: kept.Dead}
	state := s.Control.Advisories()
	out.Advisories.CheckedAt, out.Advisories.Error = state.CheckedAt, state.Error
	if a := state.Current; a != nil {
		out.Advisories.Version, out.Advisories.Reference = a.Version, a.Reference
		out.Advisories.UpdatedAt, out.Advisories.FetchedAt = a.UpdatedAt, a.FetchedAt
	}
	return reply(out), nil
}
