package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) lanes() {
	handle(s, operation{noun: "lanes", id: "list-lanes", method: "GET", path: "/lanes", may: tidewaiter.MayReadSettings,
		summary: "The lanes jobs wait in, the most urgent first, and how much there is to do in each."}, s.listLanes)
	handle(s, operation{noun: "lanes", id: "pause-lane", method: "POST", path: "/lanes/{lane}/pause", may: tidewaiter.MayWriteSettings, status: 204,
		summary: "Begin no other job of a lane, in any process, until it is resumed. Jobs that run go on."}, s.pauseLane)
	handle(s, operation{noun: "lanes", id: "resume-lane", method: "POST", path: "/lanes/{lane}/resume", may: tidewaiter.MayWriteSettings, status: 204,
		summary: "Begin jobs of a lane again."}, s.resumeLane)
	handle(s, operation{noun: "lanes", id: "cancel-lane", method: "POST", path: "/lanes/{lane}/cancel", may: tidewaiter.MayWriteSettings,
		summary: "End the scans that are on their way in a lane. What they have found stays."}, s.cancelLane)
}

type laneAsked struct {
	Lane string `path:"lane" enum:"interactive,event,fresh,rescan,system"`
}

func (s *server) listLanes(ctx context.Context, _ *struct{}) (*body[client.Page[client.Lane]], error) {
	states, err := s.Control.LaneStates(ctx)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Lane]{Items: []client.Lane{}}
	for _, name := range tidewaiter.Lanes() {
		l := states[name]
		out.Items = append(out.Items, client.Lane{Name: string(name), Paused: l.Paused, Waiting: l.Waiting, Later: l.Later,
			Running: l.Running, Oldest: l.Oldest})
	}
	return reply(out), nil
}

func (s *server) pauseLane(ctx context.Context, in *laneAsked) (*struct{}, error) {
	return nil, s.Control.PauseLane(ctx, tidewaiter.Lane(in.Lane))
}

func (s *server) resumeLane(ctx context.Context, in *laneAsked) (*struct{}, error) {
	return nil, s.Control.ResumeLane(ctx, tidewaiter.Lane(in.Lane))
}

func (s *server) cancelLane(ctx context.Context, in *laneAsked) (*body[client.LaneCanceled], error) {
	n, err := s.Control.CancelLane(ctx, tidewaiter.Lane(in.Lane))
	if err != nil {
		return nil, err
	}
	return reply(client.LaneCanceled{Scans: n}), nil
}
