package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"

	tdb "github.com/aquasecurity/trivy-db/pkg/db"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	bolt "go.etcd.io/bbolt"
)

// vulnerabilityBucket is where the database keeps what is known of each vulnerability, by its id.
const vulnerabilityBucket = "vulnerability"

// maxSeverities bounds how many vulnerabilities are kept in memory: some 40 MB when full, emptied when exceeded.
const maxSeverities = 100_000

// severities answers what Trivy wants to know of a vulnerability in order to rate a finding, and remembers it: a fleet
// has the same few thousand in package after package, and each takes kilobytes of text to decode.
type severities struct {
	tdb.Config
	mu    sync.RWMutex
	known map[string]*dbtypes.Vulnerability // nil for an id the database does not describe
}

func newSeverities() *severities { return &severities{known: map[string]*dbtypes.Vulnerability{}} }

// GetVulnerability returns severities by source, and references where a link has to be chosen among them.
func (s *severities) GetVulnerability(id string) (dbtypes.Vulnerability, error) {
	s.mu.RLock()
	v, known := s.known[id]
	s.mu.RUnlock()
	if !known {
		var err error
		if v, err = readSeverity(id); err != nil {
			return dbtypes.Vulnerability{}, err
		}
		s.mu.Lock()
		if len(s.known) >= maxSeverities {
			clear(s.known)
		}
		s.known[id] = v
		s.mu.Unlock()
	}
	if v == nil {
		return dbtypes.Vulnerability{}, fmt.Errorf("the advisories do not describe %s", id)
	}
	own := *v
	own.VendorSeverity = maps.Clone(v.VendorSeverity) // Trivy adds to it
	return own, nil
}

func readSeverity(id string) (*dbtypes.Vulnerability, error) {
	var v *dbtypes.Vulnerability
	err := tdb.Config{}.Connection().View(func(tx *bolt.Tx) error {
		value := tx.Bucket([]byte(vulnerabilityBucket)).Get([]byte(id))
		if value == nil {
			return nil
		}
		var err error
		v, err = decodeSeverity(id, value)
		return err
	})
	return v, err
}

func decodeSeverity(id string, value []byte) (*dbtypes.Vulnerability, error) {
	if hasOwnPage(id) {
		var short struct {
			Severity       string
			VendorSeverity dbtypes.VendorSeverity
		}
		if err := json.Unmarshal(value, &short); err != nil {
			return nil, fmt.Errorf("read %s: %w", id, err)
		}
		return &dbtypes.Vulnerability{Severity: short.Severity, VendorSeverity: short.VendorSeverity}, nil
	}
	var linked struct {
		Severity       string
		VendorSeverity dbtypes.VendorSeverity
		References     []string
	}
	if err := json.Unmarshal(value, &linked); err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	return &dbtypes.Vulnerability{Severity: linked.Severity, VendorSeverity: linked.VendorSeverity, References: linked.References}, nil
}

// hasOwnPage reports whether the link to a vulnerability follows from its id, so that its references are not needed.
func hasOwnPage(id string) bool {
	for _, prefix := range []string{"CVE-", "GHSA-", "RUSTSEC-", "TEMP-"} {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}
