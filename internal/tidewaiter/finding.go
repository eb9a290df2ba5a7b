package tidewaiter

import (
	"slices"
	"time"
)

// Finding is one vulnerability of one Package under one version of the advisories.
type Finding struct {
	PackageID     int64    `json:"-"`
	Vulnerability string   `json:"vulnerability"` // CVE-2024-1234, GHSA-…
	Severity      Severity `json:"severity"`      // the effective one: the distribution's where it has an opinion
	Source        string   `json:"source,omitempty"`
	Status        string   `json:"status,omitempty"`  // fixed, affected, will_not_fix, fix_deferred, end_of_life, …
	FixedIn       string   `json:"fixedIn,omitempty"` // versions that mend it, "" when there is none
	Advisories    []string `json:"advisories,omitempty"`
	URL           string   `json:"url,omitempty"`
}

// Vulnerability is what is known of one vulnerability, whatever package it is found in.
type Vulnerability struct {
	ID          string    `json:"id"`
	Title       string    `json:"title,omitempty"`
	Description string    `json:"description,omitempty"`
	Severity    Severity  `json:"severity"`
	Score       float64   `json:"score,omitempty"`    // CVSS v3 or v4 base score, best source first; 0 when unknown
	Vector      string    `json:"vector,omitempty"`   // of Score
	ScoreV2     float64   `json:"scoreV2,omitempty"`  // CVSS v2
	VectorV2    string    `json:"vectorV2,omitempty"` // of ScoreV2
	CWEs        []string  `json:"cwes,omitempty"`
	References  []string  `json:"references,omitempty"`
	Published   time.Time `json:"published,omitzero"`
	Modified    time.Time `json:"modified,omitzero"`
}

// WeighsLike reports whether two accounts of a vulnerability agree in all that a verdict can depend on. When somebody last
// touched it, its title and its weaknesses do not weigh.
func (v *Vulnerability) WeighsLike(o *Vulnerability) bool {
	return v.Severity == o.Severity && v.Score == o.Score && v.Vector == o.Vector && v.ScoreV2 == o.ScoreV2 && v.VectorV2 == o.VectorV2 &&
		v.Published.Equal(o.Published) && v.Description == o.Description && slices.Equal(v.References, o.References)
}

// Advisories identifies one version of the advisory database.
type Advisories struct {
	Version    string    `json:"version"` // digest of the artifact or file it came from
	Reference  string    `json:"reference,omitempty"`
	UpdatedAt  time.Time `json:"updatedAt,omitzero"`  // when its makers built it
	NextUpdate time.Time `json:"nextUpdate,omitzero"` // when they promised the next
	FetchedAt  time.Time `json:"fetchedAt,omitzero"`
}
