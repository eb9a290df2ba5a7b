package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Image is one platform's manifest, under every name that points to it.
type Image struct {
	Digest     string     `json:"digest"`
	Names      []string   `json:"names"`      // host/repository:tag
	Registries []string   `json:"registries"` // ids of the declared registries that have one of the names in scope
	Platform   string     `json:"platform"`
	Size       int64      `json:"size"` // bytes of the layers as they are pulled
	CreatedAt  time.Time  `json:"createdAt,omitzero"`
	FirstSeen  time.Time  `json:"firstSeen"`
	State      string     `json:"state"` // waiting, judged, failed
	ErrorKind  string     `json:"errorKind,omitempty"`
	Error      string     `json:"error,omitempty"` // of the last attempt; an earlier judgement stands beside it
	Judgement  *Judgement `json:"judgement,omitempty"`
}

// Judgement is what is known of an image in numbers, and what policy makes of it.
type Judgement struct {
	Advisories      string    `json:"advisories"` // the version; empty when there were none: nothing was looked up then
	JudgedAt        time.Time `json:"judgedAt"`
	Distribution    string    `json:"distribution,omitempty"`
	EndOfLife       bool      `json:"endOfLife,omitempty"` // the distribution's release gets no more updates
	Packages        int       `json:"packages"`
	Vulnerabilities Counts    `json:"vulnerabilities"`
	Fixable         int       `json:"fixable"`
	Secrets         int       `json:"secrets"`
	FailedChecks    Counts    `json:"failedChecks"`
	Incomplete      bool      `json:"incomplete,omitempty"` // something was cut short
	Verdict         Verdict   `json:"verdict"`
}

// Counts is how many there are of each severity.
type Counts struct {
	Critical   int `json:"critical"`
	High       int `json:"high"`
	Medium     int `json:"medium"`
	Low        int `json:"low"`
	Negligible int `json:"negligible"`
	Unknown    int `json:"unknown"`
}

// Verdict is what policy makes of an image. Effect is ignore, alert or block.
type Verdict struct {
	Effect  string   `json:"effect"`
	Rules   []string `json:"rules,omitempty"`
	Alerts  int      `json:"alerts"`
	Blocks  int      `json:"blocks"`
	Reasons []Reason `json:"reasons,omitempty"` // the gravest; Alerts and Blocks count all
}

// Reason is one finding, check or licence a rule acted on.
type Reason struct {
	Effect        string `json:"effect"`
	Rule          string `json:"rule"`
	Vulnerability string `json:"vulnerability,omitempty"`
	Package       string `json:"package,omitempty"`
	FixedIn       string `json:"fixedIn,omitempty"` // versions that mend it
	Check         int    `json:"check,omitempty"`
	License       string `json:"license,omitempty"`
	Severity      string `json:"severity"`
	Why           string `json:"why"`
	GraceDays     int    `json:"graceDays,omitempty"` // left before this blocks
}

// ImageDetails is an image with everything found in it.
type ImageDetails struct {
	Image
	ImageContent
	Findings []Finding `json:"findings"`
	Checks   []Check   `json:"checks"`
}

// Finding is one vulnerability of one package of an image.
type Finding struct {
	Vulnerability string    `json:"vulnerability"`
	Severity      string    `json:"severity"`
	Score         float64   `json:"score,omitempty"` // CVSS base score
	Title         string    `json:"title,omitempty"`
	Package       string    `json:"package"`
	Version       string    `json:"version"`
	Ecosystem     string    `json:"ecosystem"`
	Layer         int       `json:"layer"` // from 0, bottom first
	Path          string    `json:"path,omitempty"`
	FixedIn       string    `json:"fixedIn,omitempty"`
	Status        string    `json:"status,omitempty"`
	URL           string    `json:"url,omitempty"`
	FirstFound    time.Time `json:"firstFound,omitzero"`
	EPSS          *EPSS     `json:"epss,omitempty"`
	KEV           *KEV      `json:"kev,omitempty"` // the vulnerability is known to be exploited
}

// Check is one compliance check's outcome.
type Check struct {
	ID       int    `json:"id"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	Passed   bool   `json:"passed"`
	Cause    string `json:"cause,omitempty"`
}

// ImageQuery chooses images; what is zero does not restrict.
type ImageQuery struct {
	Registry, Host, Repository, Tag, Search, State string
	Limit                                          int
	After                                          string
}

// Images returns a page of images, newest first.
func (c *Client) Images(ctx context.Context, q ImageQuery) (*Page[Image], error) {
	v := values{url.Values{}}
	v.set("registry", q.Registry)
	v.set("host", q.Host)
	v.set("repository", q.Repository)
	v.set("tag", q.Tag)
	v.set("search", q.Search)
	v.set("state", q.State)
	v.page(q.Limit, q.After)
	var out Page[Image]
	return &out, c.do(ctx, http.MethodGet, "/images", v.Values, nil, &out)
}

// Image returns one image, by the digest of its manifest.
func (c *Client) Image(ctx context.Context, digest string) (*ImageDetails, error) {
	var out ImageDetails
	return &out, c.do(ctx, http.MethodGet, "/images/"+url.PathEscape(digest), nil, nil, &out)
}
