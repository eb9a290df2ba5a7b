package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) names() {
	handle(s, operation{noun: "images", id: "get-name", method: "GET", path: "/names", may: tidewaiter.MayReadImages,
		summary: "Which images a name leads to: one for each platform in scope, the worst first.",
		about: "For whoever knows an image by name and wants to read it by the digest of its manifest. What is told is what is stored; " +
			"no registry is asked."}, s.getName)
}

type nameAsked struct {
	Image string `query:"image" required:"true" maxLength:"1024" doc:"A name as Docker takes it ([host/]repository[:tag][@digest]), or a bare digest, also that of an index." example:"registry.example.com/shop:v1"`
}

func (s *server) getName(ctx context.Context, in *nameAsked) (*body[client.ImageName], error) {
	n, err := s.Control.NamedImages(ctx, in.Image)
	if err != nil {
		return nil, err
	}
	out := client.ImageName{Name: n.Reference, Digest: n.Digest, Current: n.Current, Skipped: n.Skipped, Images: make([]client.NamedImage, len(n.Images))}
	if t := n.Tag; t != nil {
		out.FirstSeen, out.LastSeen, out.ChangedAt, out.GoneAt = t.FirstSeen, t.LastSeen, t.ChangedAt, t.GoneAt
		out.ErrorKind, out.Error = string(t.ErrorKind), t.Error
	}
	for i, img := range n.Images {
		out.Images[i] = client.NamedImage{Digest: img.Digest, Platform: img.Platform.String(), State: string(img.State), Shown: img.Shown}
		if j := img.Judgement; j != nil {
			out.Images[i].Effect = string(j.Verdict.Effect)
		}
	}
	return reply(out), nil
}
