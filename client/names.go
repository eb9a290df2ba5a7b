package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// ImageName is what the server knows of a name: host/repository:tag, host/repository@digest, or a bare digest.
type ImageName struct {
	Name      string       `json:"name"`
	Digest    string       `json:"digest,omitempty"` // what it points to, as far as the server knows
	Current   bool         `json:"current"`          // false: the tag has moved since, and the images are of what it pointed to before
	FirstSeen time.Time    `json:"firstSeen,omitzero"`
	LastSeen  time.Time    `json:"lastSeen,omitzero"`
	ChangedAt time.Time    `json:"changedAt,omitzero"` // when the server saw it point somewhere else
	GoneAt    time.Time    `json:"goneAt,omitzero"`    // when the registry no longer had it
	ErrorKind string       `json:"errorKind,omitempty"`
	Error     string       `json:"error,omitempty"`   // of the last attempt to scan it; an earlier result stands beside it
	Skipped   string       `json:"skipped,omitempty"` // why what it points to is not scanned
	Images    []NamedImage `json:"images"`            // one for each platform in scope, the worst first
}

// NamedImage is one of the images a name leads to.
type NamedImage struct {
	Digest   string `json:"digest"` // of its manifest
	Platform string `json:"platform"`
	State    string `json:"state"`            // waiting, judged, failed
	Shown    bool   `json:"shown"`            // false while a tag that moved still shows the image it pointed to before
	Effect   string `json:"effect,omitempty"` // of its verdict: ignore, alert or block
}

// ImageName returns the images a name leads to: a name as Docker takes it, or a bare digest, which may be that of an index.
func (c *Client) ImageName(ctx context.Context, image string) (*ImageName, error) {
	v := values{url.Values{}}
	v.set("image", image)
	var out ImageName
	return &out, c.do(ctx, http.MethodGet, "/names", v.Values, nil, &out)
}
