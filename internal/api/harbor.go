package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// harborPath is where the scanner that Harbor can be given is mounted; package harbor says more.
const harborPath = "/api/v1/harbor/"

func (s *server) harborScanner() {
	handle(s, operation{noun: "harbor", id: "get-harbor-scanner", method: "GET", path: "/harbor-scanner", may: tidewaiter.MayWriteSettings,
		summary: "The address of the scanner that Harbor can be given."}, s.getHarborScanner)
	handle(s, operation{noun: "harbor", id: "put-harbor-scanner", method: "PUT", path: "/harbor-scanner", may: tidewaiter.MayWriteSettings,
		summary: "Set the key that Harbor has to show."}, s.putHarborScanner)
}

func (s *server) getHarborScanner(ctx context.Context, _ *struct{}) (*body[client.HarborScanner], error) {
	suffix, err := s.Control.Suffix(ctx, control.SettingHarborSuffix)
	if err != nil {
		return nil, err
	}
	key, err := s.Control.HarborKey(ctx)
	if err != nil {
		return nil, err
	}
	return reply(client.HarborScanner{Path: harborPath + suffix, Key: !key.IsZero()}), nil
}

func (s *server) putHarborScanner(ctx context.Context, in *body[client.HarborKey]) (*body[client.HarborScanner], error) {
	if err := s.Control.SetHarborKey(ctx, secret.New(in.Body.Key)); err != nil {
		return nil, err
	}
	return s.getHarborScanner(ctx, nil)
}
