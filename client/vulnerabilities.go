package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Vulnerability is one vulnerability that images have.
type Vulnerability struct {
	Name      string    `json:"name"`            // CVE-2024-1234, GHSA-…
	Severity  string    `json:"severity"`        // the highest any package has it with
	Score     float64   `json:"score,omitempty"` // CVSS base score
	Published time.Time `json:"published,omitzero"`
	Images    int       `json:"images"`   // that a tag points to
	Packages  int       `json:"packages"` // distinct ones it is found in
	Fixable   bool      `json:"fixable"`  // in one of the packages at least
	EPSS      *EPSS     `json:"epss,omitempty"`
	KEV       *KEV      `json:"kev,omitempty"` // it is known to be exploited
}

// EPSS is how likely an attack is within thirty days, as the Exploit Prediction Scoring System has it.
type EPSS struct {
	Score      float64   `json:"score"`      // 0 to 1
	Percentile float64   `json:"percentile"` // 0 to 1
	Date       time.Time `json:"date,omitzero"`
}

// KEV is an entry of CISA's catalog of known exploited vulnerabilities.
type KEV struct {
	Added      time.Time `json:"added"`
	Due        time.Time `json:"due,omitzero"`
	Ransomware bool      `json:"ransomware"` // known to be used in ransomware campaigns
}

// VulnerabilityPage is one page of vulnerabilities. CountedAt is when the images were counted: in a large fleet that is minutes ago.
type VulnerabilityPage struct {
	Page[Vulnerability]
	CountedAt time.Time `json:"countedAt,omitzero"`
}

// VulnerabilityDetails is a vulnerability with what advisories say, where it is found, and a page of the images that have it.
type VulnerabilityDetails struct {
	Vulnerability
	Title       string              `json:"title,omitempty"`
	Description string              `json:"description,omitempty"`
	Vector      string              `json:"vector,omitempty"` // of the score
	CWEs        []string            `json:"cwes,omitempty"`
	References  []string            `json:"references,omitempty"`
	FoundIn     []VulnerablePackage `json:"foundIn"`    // at most 500
	ImagesPage  Page[Image]         `json:"imagesPage"` // the images that have it
}

// VulnerablePackage is a package a vulnerability is found in.
type VulnerablePackage struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Severity string `json:"severity"`
	Status   string `json:"status,omitempty"`
	FixedIn  string `json:"fixedIn,omitempty"`
}

// VulnerabilityQuery chooses vulnerabilities; what is zero does not restrict.
type VulnerabilityQuery struct {
	Search   string  // part of the name
	Severity string  // at least this one
	MinEPSS  float64 // 0 to 1
	KEV      bool    // only those known to be exploited
	Fixable  bool
	Sort     string // severity (when empty), epss, score, images, published
	Least    bool   // the least first
	Limit    int
	After    string
}

// Vulnerabilities returns a page of the vulnerabilities that images have, the worst first.
func (c *Client) Vulnerabilities(ctx context.Context, q VulnerabilityQuery) (*VulnerabilityPage, error) {
	v := values{url.Values{}}
	v.set("search", q.Search)
	v.set("severity", q.Severity)
	v.set("sort", q.Sort)
	if q.MinEPSS > 0 {
		v.set("epss", strconv.FormatFloat(q.MinEPSS, 'g', -1, 64))
	}
	for name, set := range map[string]bool{"kev": q.KEV, "fixable": q.Fixable, "least": q.Least} {
		if set {
			v.set(name, "true")
		}
	}
	v.page(q.Limit, q.After)
	var out VulnerabilityPage
	return &out, c.do(ctx, http.MethodGet, "/vulnerabilities", v.Values, nil, &out)
}

// Vulnerability returns one vulnerability with a page of the images that have it.
func (c *Client) Vulnerability(ctx context.Context, name string, limit int, after string) (*VulnerabilityDetails, error) {
	v := values{url.Values{}}
	v.page(limit, after)
	var out VulnerabilityDetails
	return &out, c.do(ctx, http.MethodGet, "/vulnerabilities/"+url.PathEscape(name), v.Values, nil, &out)
}
