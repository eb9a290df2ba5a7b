package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) publications() {
	handle(s, operation{noun: "images", id: "list-image-publications", method: "GET", path: "/images/{digest}/publications", may: tidewaiter.MayReadImages,
		summary: "What was pushed about an image into registries, and what failed.",
		about: "Registries with the settings publishSBOM or publishReport get documents that refer to their images. " +
			"The list is short and comes as a whole."}, s.listPublications)
}

func (s *server) listPublications(ctx context.Context, in *imageAsked) (*body[client.Page[client.Publication]], error) {
	image, err := s.Control.ImageByDigest(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	list, err := s.Control.PublicationsOf(ctx, image.ID)
	out := client.Page[client.Publication]{Items: make([]client.Publication, len(list))}
	for i, p := range list {
		out.Items[i] = client.Publication{Registry: p.RegistryID, Repository: p.Host + "/" + p.Repository, Kind: string(p.Kind), Digest: p.Digest,
			PushedAt: p.PushedAt, JudgedAt: p.JudgedAt, TriedAt: p.TriedAt, ErrorKind: string(p.ErrorKind), Error: p.Error,
			Attempts: p.Attempts, RetryAt: p.RetryAt}
	}
	return reply(out), err
}
