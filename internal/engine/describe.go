package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	tdb "github.com/aquasecurity/trivy-db/pkg/db"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	dbsource "github.com/aquasecurity/trivy-db/pkg/vulnsrc/vulnerability"
	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Describe returns what the advisories say of vulnerabilities, by id. Ids they do not describe are left out. It fails
// with ErrNotFound while there are no advisories, with ErrCanceled when ctx ends and with ErrMalformed when the database
// cannot be read.
func (m *Matcher) Describe(ctx context.Context, ids []string) (described map[string]*tidewaiter.Vulnerability, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(); err != nil {
		return nil, err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			described, err = nil, m.recovered("describe vulnerabilities", r)
		}
	}()
	described = make(map[string]*tidewaiter.Vulnerability, len(ids))
	err = tdb.Config{}.Connection().View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(vulnerabilityBucket))
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				return tidewaiter.Errorf(tidewaiter.ErrCanceled, "describe vulnerabilities: %w", err)
			}
			value := bucket.Get([]byte(id))
			if value == nil {
				continue
			}
			var v dbtypes.Vulnerability
			if err := json.Unmarshal(value, &v); err != nil {
				return tidewaiter.Errorf(tidewaiter.ErrMalformed, "describe %s: %w", id, err)
			}
			described[id] = convertVulnerability(id, &v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read advisories %s: %w", m.advisories.Version, err)
	}
	return described, nil
}

func convertVulnerability(id string, v *dbtypes.Vulnerability) *tidewaiter.Vulnerability {
	d := &tidewaiter.Vulnerability{
		ID: id, Title: v.Title, Description: v.Description,
		CWEs: v.CweIDs, References: v.References,
		Published: timeOrZero(v.PublishedDate), Modified: timeOrZero(v.LastModifiedDate),
	}
	for _, source := range bySource(maps.Keys(v.CVSS)) {
		c := v.CVSS[source]
		if d.Score == 0 {
			d.Score, d.Vector = c.V3Score, c.V3Vector
		}
		if d.Score == 0 {
			d.Score, d.Vector = c.V40Score, c.V40Vector
		}
		if d.ScoreV2 == 0 {
			d.ScoreV2, d.VectorV2 = c.V2Score, c.V2Vector
		}
	}
	d.Severity = generalSeverity(v, cmp.Or(d.Score, d.ScoreV2))
	return d
}

// generalSeverity is a vulnerability's severity whatever package it is in: of the first source that has an opinion,
// otherwise what its score says.
func generalSeverity(v *dbtypes.Vulnerability, score float64) tidewaiter.Severity {
	for _, source := range bySource(maps.Keys(v.VendorSeverity)) {
		s := v.VendorSeverity[source]
		if s <= dbtypes.SeverityUnknown || int(s) >= len(dbtypes.SeverityNames) {
			continue
		}
		if severity, err := tidewaiter.ParseSeverity(s.String()); err == nil {
			return severity
		}
	}
	if severity, err := tidewaiter.ParseSeverity(v.Severity); err == nil && severity != tidewaiter.SeverityUnknown {
		return severity
	}
	return tidewaiter.SeverityOfScore(score)
}

// bySource orders sources by how general their opinion is: NVD, GitHub, Red Hat, then by name.
func bySource(sources func(func(dbtypes.SourceID) bool)) []dbtypes.SourceID {
	rank := func(s dbtypes.SourceID) int {
		switch s {
		case dbsource.NVD:
			return 0
		case dbsource.GHSA:
			return 1
		case dbsource.RedHat:
			return 2
		}
		return 3
	}
	return slices.SortedFunc(sources, func(a, b dbtypes.SourceID) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
