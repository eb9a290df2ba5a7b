package client

import (
	"context"
	"net/http"
	"time"
)

// Rejudging is how far a server's images are on their way to the advisories in use.
type Rejudging struct {
	Advisories   string    `json:"advisories"`       // the version
	Forced       bool      `json:"forced,omitempty"` // everything is matched and judged, whatever seems to have changed
	AskedAt      time.Time `json:"askedAt,omitzero"` // when somebody last asked for it
	Done         bool      `json:"done"`
	PackagesLeft int       `json:"packagesLeft"` // to match
	ImagesLeft   int       `json:"imagesLeft"`   // to judge
	Images       int       `json:"images"`       // that have a judgement
}

// RejudgeRequest says what to judge again.
type RejudgeRequest struct {
	Force bool `json:"force,omitempty" doc:"Match every package and judge every image, whatever seems to have changed."`
}

// Rejudge has the images judged by the advisories the server has, from what is stored: no registry is asked.
func (c *Client) Rejudge(ctx context.Context, r RejudgeRequest) (*Rejudging, error) {
	var out Rejudging
	return &out, c.do(ctx, http.MethodPost, "/advisories/rejudge", nil, r, &out)
}

// Rejudging asks how far that is.
func (c *Client) Rejudging(ctx context.Context) (*Rejudging, error) {
	var out Rejudging
	return &out, c.do(ctx, http.MethodGet, "/advisories/rejudge", nil, nil, &out)
}
