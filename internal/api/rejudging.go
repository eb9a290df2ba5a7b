package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) rejudging() {
	handle(s, operation{noun: "advisories", id: "rejudge", method: "POST", path: "/advisories/rejudge", may: tidewaiter.MayWriteSettings, status: 202,
		summary: "Judge the images by the advisories in use, from what is stored: no registry is asked.",
		about: "New advisories need no asking: what they concern is judged as soon as they are there. With force every package is " +
			"matched and every image judged, whatever seems to have changed. Asked for again while it is on its way, it goes on."}, s.rejudge)
	handle(s, operation{noun: "advisories", id: "get-rejudging", method: "GET", path: "/advisories/rejudge", may: tidewaiter.MayReadSettings,
		summary: "How far the images are on their way to the advisories in use."}, s.getRejudging)
}

type rejudgeAsked struct{ Body client.RejudgeRequest }

func (s *server) rejudge(ctx context.Context, in *rejudgeAsked) (*body[client.Rejudging], error) {
	r, err := s.Control.Rejudge(ctx, in.Body.Force)
	if err != nil {
		return nil, err
	}
	return reply(rejudgingOf(r)), nil
}

func (s *server) getRejudging(ctx context.Context, _ *struct{}) (*body[client.Rejudging], error) {
	r, err := s.Control.Rejudging(ctx)
	if err != nil {
		return nil, err
	}
	return reply(rejudgingOf(r)), nil
}

func rejudgingOf(r *control.Rejudging) client.Rejudging {
	return client.Rejudging{Advisories: r.Advisories, Forced: r.Forced, AskedAt: r.AskedAt, Done: r.Done(), PackagesLeft: r.Left.Packages,
		ImagesLeft: r.Left.Images, Images: r.Left.Judged}
}
