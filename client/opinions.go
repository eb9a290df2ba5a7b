package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Opinion is what another scanner says of an image. It judges nothing.
type Opinion struct {
	Scanner   string         `json:"scanner"` // its name
	ScannerID string         `json:"scannerID"`
	State     string         `json:"state"`            // waiting, asking, done, failed
	AskedAt   time.Time      `json:"askedAt,omitzero"` // when the scanner took the present or last scan
	TriedAt   time.Time      `json:"triedAt,omitzero"` // when the last attempt ended
	ErrorKind string         `json:"errorKind,omitempty"`
	Error     string         `json:"error,omitempty"`    // why the last attempt failed; what was said before is kept
	Attempts  int            `json:"attempts,omitempty"` // that failed, one after the other
	RetryAt   time.Time      `json:"retryAt,omitzero"`   // of one that failed; without it, it is tried again when something changes
	Report    *OpinionReport `json:"report,omitempty"`   // the last one
}

// OpinionReport is the head of a scanner's report on an image.
type OpinionReport struct {
	Scanner     string    `json:"scanner"`
	Vendor      string    `json:"vendor,omitempty"`
	Version     string    `json:"version,omitempty"`
	DatabaseAt  time.Time `json:"databaseAt,omitzero"`  // of the scanner's vulnerability database
	GeneratedAt time.Time `json:"generatedAt,omitzero"` // as the scanner says
	ReadAt      time.Time `json:"readAt"`
	Findings    int       `json:"findings"`
	Counts      Counts    `json:"counts"`
	Incomplete  bool      `json:"incomplete,omitempty"` // it has more findings than are kept
}

// OpinionFinding is one vulnerability of one package as another scanner says it.
type OpinionFinding struct {
	ID       string  `json:"id"`
	Alias    string  `json:"alias,omitempty"` // the CVE its links name
	Package  string  `json:"package"`
	Version  string  `json:"version,omitempty"`
	FixedIn  string  `json:"fixedIn,omitempty"`
	Severity string  `json:"severity"`
	Score    float64 `json:"score,omitempty"`
	Link     string  `json:"link,omitempty"`
}

// OpinionDetails is an opinion with its findings.
type OpinionDetails struct {
	Opinion

	Findings []OpinionFinding `json:"findings"` // the worst first
}

// OpinionDifference is what another scanner makes of an image beside what we do. A finding is the same when vulnerability, package and version
// are; a vulnerability is known by any of its names.
type OpinionDifference struct {
	Opinion    Opinion   `json:"opinion"`
	Advisories string    `json:"advisories"` // version of ours
	JudgedAt   time.Time `json:"judgedAt"`

	Both         int                   `json:"both"` // findings both have and agree about
	Differing    []DifferingFinding    `json:"differing"`
	OnlyOurs     []DifferenceFinding   `json:"onlyOurs"`
	OnlyTheirs   []DifferenceFinding   `json:"onlyTheirs"`
	BothFindings []DifferenceAgreement `json:"bothFindings,omitempty"` // where they were asked for
}

// DifferenceFinding is a finding only one has.
type DifferenceFinding struct {
	ID       string `json:"id"`
	Package  string `json:"package"`
	Version  string `json:"version,omitempty"`
	FixedIn  string `json:"fixedIn,omitempty"`
	Severity string `json:"severity"`
}

// DifferingFinding is a finding both have and do not agree about.
type DifferingFinding struct {
	Ours     DifferenceFinding `json:"ours"`
	Theirs   DifferenceFinding `json:"theirs"`
	Severity bool              `json:"severity"` // they disagree about it
	Fix      bool              `json:"fix"`      // likewise
}

// DifferenceAgreement is a finding both have and agree about.
type DifferenceAgreement struct {
	Ours   DifferenceFinding `json:"ours"`
	Theirs DifferenceFinding `json:"theirs"`
}

func opinionPath(digest string) string { return "/images/" + url.PathEscape(digest) + "/opinions" }

// Opinions returns what other scanners say of an image, by the digest of its manifest.
func (c *Client) Opinions(ctx context.Context, digest string) ([]Opinion, error) {
	var out Page[Opinion]
	err := c.do(ctx, http.MethodGet, opinionPath(digest), nil, nil, &out)
	return out.Items, err
}

// Opinion returns what a scanner, by id or name, says of an image, with its findings.
func (c *Client) Opinion(ctx context.Context, digest, scanner string) (*OpinionDetails, error) {
	var out OpinionDetails
	return &out, c.do(ctx, http.MethodGet, opinionPath(digest)+"/"+url.PathEscape(scanner), nil, nil, &out)
}

// OpinionDifference compares what a scanner, by id or name, says of an image with what we do. both lists what they agree about too.
func (c *Client) OpinionDifference(ctx context.Context, digest, scanner string, both bool) (*OpinionDifference, error) {
	q := url.Values{}
	if both {
		q.Set("both", "true")
	}
	var out OpinionDifference
	return &out, c.do(ctx, http.MethodGet, opinionPath(digest)+"/"+url.PathEscape(scanner)+"/difference", q, nil, &out)
}
