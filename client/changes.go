package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// ImageChange is what one judgement of an image changed.
type ImageChange struct {
	ID       int64           `json:"id"` // ascends as changes happen
	At       time.Time       `json:"at"`
	Cause    string          `json:"cause"`            // first, advisories, policy, content
	Before   *Standing       `json:"before,omitempty"` // nil for an image that was judged for the first time
	After    Standing        `json:"after"`
	Counts   ChangeCounts    `json:"counts"`             // of all findings that changed
	Findings []FindingChange `json:"findings,omitempty"` // the gravest of them, at most 200
}

// Standing is an image's judgement in short.
type Standing struct {
	Advisories      string `json:"advisories"`
	Effect          string `json:"effect"`
	Alerts          int    `json:"alerts"`
	Blocks          int    `json:"blocks"`
	Vulnerabilities Counts `json:"vulnerabilities"`
	Fixable         int    `json:"fixable"`
	Secrets         int    `json:"secrets"`
	FailedChecks    Counts `json:"failedChecks"`
	EndOfLife       bool   `json:"endOfLife,omitempty"`
}

// ChangeCounts is how many findings changed in which way. One that changed in several ways counts for the first that fits.
type ChangeCounts struct {
	New      int `json:"new"`
	Gone     int `json:"gone"`
	Severity int `json:"severity"`
	Fix      int `json:"fix"`
	Status   int `json:"status"`
}

// FindingChange is a finding before and after.
type FindingChange struct {
	Change        string        `json:"change"` // new, gone, severity, fix, status
	Vulnerability string        `json:"vulnerability"`
	Package       string        `json:"package"`
	Version       string        `json:"version"`
	Ecosystem     string        `json:"ecosystem"`
	Before        *FindingState `json:"before,omitempty"` // nil for a new one
	After         *FindingState `json:"after,omitempty"`  // nil for one that is gone
}

// FindingState is what of a finding can change.
type FindingState struct {
	Severity string `json:"severity"`
	FixedIn  string `json:"fixedIn,omitempty"`
	Status   string `json:"status,omitempty"`
}

// ImageChanges returns a page of what changed for an image, by the digest of its manifest, the latest first.
func (c *Client) ImageChanges(ctx context.Context, digest string, limit int, after string) (*Page[ImageChange], error) {
	v := values{url.Values{}}
	v.page(limit, after)
	var out Page[ImageChange]
	return &out, c.do(ctx, http.MethodGet, "/images/"+url.PathEscape(digest)+"/changes", v.Values, nil, &out)
}
