package tidewaiter

import "time"

// Threat is what is known of attacks on one vulnerability. It comes from feeds of its own, changes daily, and is joined with
// the vulnerability whenever somebody looks.
type Threat struct {
	EPSS *EPSS `json:"epss,omitempty"` // nil: the feed does not know the vulnerability, or there is no feed
	KEV  *KEV  `json:"kev,omitempty"`  // nil: not listed, or there is no feed
}

// Exploited reports whether attacks on the vulnerability have been seen.
func (t Threat) Exploited() bool { return t.KEV != nil }

// EPSS is how likely the Exploit Prediction Scoring System holds an attack within thirty days.
type EPSS struct {
	Score      float64   `json:"score"`      // 0 to 1
	Percentile float64   `json:"percentile"` // 0 to 1: the part of all vulnerabilities that score no higher
	Date       time.Time `json:"date"`       // of the scores
}

// EPSSScore is one line of an EPSS feed.
type EPSSScore struct {
	Name              string // CVE-…
	Score, Percentile float64
}

// KEV is an entry in CISA's catalog of known exploited vulnerabilities.
type KEV struct {
	Added      time.Time `json:"added"`        // to the catalog
	Due        time.Time `json:"due,omitzero"` // when agencies have to be done with it
	Ransomware bool      `json:"ransomware"`   // known to be used in ransomware campaigns
}

// FeedKind names one of the feeds threats come from.
type FeedKind string

// The feeds.
const (
	FeedEPSS FeedKind = "epss"
	FeedKEV  FeedKind = "kev"
)

// FeedKinds returns the feeds there are.
func FeedKinds() []FeedKind { return []FeedKind{FeedEPSS, FeedKEV} }

// Feed is the version of a feed that is in use.
type Feed struct {
	Kind      FeedKind  `json:"kind"`
	Version   string    `json:"version"`          // digest of the file
	Source    string    `json:"source,omitempty"` // where it came from
	Release   string    `json:"release"`          // what its makers call it: the model's version, the catalog's
	Date      time.Time `json:"date"`             // when its makers made it
	Entries   int       `json:"entries"`
	FetchedAt time.Time `json:"fetchedAt,omitzero"`
}
