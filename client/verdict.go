package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ImageVerdict is what policy makes of the image behind a name.
type ImageVerdict struct {
	Image     string            `json:"image"`             // the full name, host/repository:tag or @digest
	Digest    string            `json:"digest"`            // what the name points to, as far as the server knows
	Effect    string            `json:"effect"`            // ignore, alert or block: the strongest of the platforms
	Current   bool              `json:"current"`           // false: the tag has moved since, and the verdict is of what it pointed to before
	SeenAt    time.Time         `json:"seenAt,omitzero"`   // when the server last looked where the tag points
	Failure   string            `json:"failure,omitempty"` // of the last attempt to scan it, beside this earlier verdict
	Platforms []PlatformVerdict `json:"platforms"`         // the one with the strongest effect first
}

// PlatformVerdict is the verdict on the image of one platform.
type PlatformVerdict struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"` // of its manifest
	Age      int64  `json:"age"`    // seconds since it was judged
	Judgement
}

// VerdictQuery asks for a verdict.
type VerdictQuery struct {
	Image    string        // a name as Docker takes it, or a bare digest
	Platform string        // os/architecture[/variant]; "" is the worst of those in scope
	Wait     time.Duration // has an unknown or outdated image scanned, and waits so long; at most a minute
	MaxAge   time.Duration // how long ago the server may have looked where the tag points; with Wait, 0 is a minute
}

// Verdict returns what policy makes of an image. When there is no verdict the error is an *Error for which NoVerdict tells why.
func (c *Client) Verdict(ctx context.Context, q VerdictQuery) (*ImageVerdict, error) {
	v := values{url.Values{}}
	v.set("image", q.Image)
	v.set("platform", q.Platform)
	if q.Wait > 0 {
		v.set("wait", q.Wait.String())
	}
	if q.MaxAge > 0 {
		v.set("maxAge", q.MaxAge.String())
	}
	var out ImageVerdict
	return &out, c.do(ctx, http.MethodGet, "/verdict", v.Values, nil, &out)
}

// noVerdict begins the type of a problem that says why there is no verdict.
const noVerdict = "urn:tidewaiter:no_verdict:"

// NoVerdict returns why there is no verdict in a word: not_declared, not_in_scope, not_scanned, failed, gone, no_image,
// no_platform or no_advisories. ok is false for any other error.
func NoVerdict(err error) (reason string, ok bool) {
	e, is := errors.AsType[*Error](err)
	if !is {
		return "", false
	}
	return strings.CutPrefix(e.Type, noVerdict)
}
