package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Publication is what became of pushing a document about an image into a registry that asks for it.
type Publication struct {
	Registry   string    `json:"registry"` // id
	Repository string    `json:"repository"`
	Kind       string    `json:"kind"`             // cyclonedx, spdx, sarif, json
	Digest     string    `json:"digest,omitempty"` // of the manifest that was pushed last and refers to the image
	PushedAt   time.Time `json:"pushedAt,omitzero"`
	JudgedAt   time.Time `json:"judgedAt,omitzero"` // when the judgement was made that the document tells of
	TriedAt    time.Time `json:"triedAt"`           // the last look at whether it has to be pushed again, or attempt
	ErrorKind  string    `json:"errorKind,omitempty"`
	Error      string    `json:"error,omitempty"`    // why the last attempt failed
	Attempts   int       `json:"attempts,omitempty"` // that failed, one after the other
	RetryAt    time.Time `json:"retryAt,omitzero"`   // of one that failed; without it, it is tried again when something changes
}

// ImagePublications returns what was pushed about an image, by the digest of its manifest, and where.
func (c *Client) ImagePublications(ctx context.Context, digest string) (*Page[Publication], error) {
	var out Page[Publication]
	return &out, c.do(ctx, http.MethodGet, "/images/"+url.PathEscape(digest)+"/publications", nil, nil, &out)
}
