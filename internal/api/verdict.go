package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) verdict() {
	handle(s, operation{noun: "verdict", id: "get-verdict", method: "GET", path: "/verdict", may: tidewaiter.MayReadImages,
		summary: "Whether an image may be used, by name or digest, from the stored verdict.",
		about: "An image without a verdict is a 404 whose type says why: urn:tidewaiter:no_verdict: and not_declared, not_in_scope, " +
			"not_scanned, failed, gone, no_image, no_platform or no_advisories. With wait, an image that is unknown or outdated is " +
			"scanned first; that takes the permission to scan."}, s.getVerdict)
}

type verdictQuery struct {
	Image    string `query:"image" required:"true" maxLength:"1024" doc:"A name as Docker takes it ([host/]repository[:tag][@digest]), or a bare digest." example:"registry.example.com/shop:v1"`
	Platform string `query:"platform" maxLength:"128" doc:"os/architecture[/variant]; without it the worst of the platforms in scope." example:"linux/arm64"`
	Wait     string `query:"wait" maxLength:"16" doc:"Scan when unknown or outdated, and wait so long: at most 60s." example:"30s"`
	MaxAge   string `query:"maxAge" maxLength:"16" doc:"How long ago we may have looked where the tag points before that counts as outdated; with wait, 1m when not given." example:"10m"`
}

func (s *server) getVerdict(ctx context.Context, q *verdictQuery) (*body[client.ImageVerdict], error) {
	wait, err := duration("wait", q.Wait)
	if err != nil {
		return nil, err
	}
	maxAge, err := duration("maxAge", q.MaxAge)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		if err := require(ctx, tidewaiter.MayScan); err != nil {
			return nil, err
		}
	}
	v, err := s.Control.Verdict(ctx, control.VerdictQuery{Image: q.Image, Platform: q.Platform, Wait: wait, MaxAge: maxAge})
	if err != nil {
		return nil, err
	}
	if u := v.Unknown; u != nil {
		return nil, &problem{Type: "urn:tidewaiter:no_verdict:" + string(u.Reason), Title: http.StatusText(http.StatusNotFound),
			Status: http.StatusNotFound, Detail: v.Reference + ": " + u.Detail, Fix: u.Fix, header: http.Header{}}
	}
	return reply(imageVerdictOf(v)), nil
}

// duration reads a parameter such as 30s; "" is 0.
func duration(name, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, tidewaiter.Invalid(name, "%q is not a length of time", text).WithFix("write it as 30s or 5m")
	}
	return d, nil
}

func imageVerdictOf(v *control.ImageVerdict) client.ImageVerdict {
	out := client.ImageVerdict{Image: v.Reference, Digest: v.Digest, Effect: string(v.Effect), Current: v.Current, SeenAt: v.SeenAt,
		Failure: v.Failure, Platforms: make([]client.PlatformVerdict, len(v.Platforms))}
	for i, p := range v.Platforms {
		image := imageOf(&tidewaiter.Image{Judgement: p.Judgement}, nil, nil)
		out.Platforms[i] = client.PlatformVerdict{Platform: p.Platform.String(), Digest: p.Digest, Age: int64(p.Age.Seconds()),
			Judgement: *image.Judgement}
	}
	return out
}
