package main

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestDiscoveryRequests counts requests as the measure does, on a smaller registry, and holds them against the number of
// pages its lists have: whoever lists by something dearer fails here.
func TestDiscoveryRequests(t *testing.T) {
	const repositories, tags = 12, 210
	each := map[tidewaiter.RegistryKind]int{ // requests for a repository: pages of tags, and tokens where each takes one
		tidewaiter.KindDockerHub: 3, tidewaiter.KindQuay: 3, tidewaiter.KindHarbor: 3, tidewaiter.KindDTR: 3, tidewaiter.KindGHCR: 3,
		tidewaiter.KindECR: 1, tidewaiter.KindArtifactory: 1, tidewaiter.KindNexus: 5,
		tidewaiter.KindACR: 2, tidewaiter.KindGAR: 2, tidewaiter.KindOCIR: 3,
		tidewaiter.KindIBM: 1, tidewaiter.KindOpenShift: 1,
		tidewaiter.KindOCI: 2 + tags, tidewaiter.KindGitLab: 2 + tags, // and the digest of each tag
	}
	const few = 8 // logging in, and the list of repositories
	for _, can := range connector.Kinds() {
		first, second, err := passes(t.Context(), t.TempDir(), can.Kind, repositories, tags)
		if err != nil {
			t.Errorf("%s: %v", can.Kind, err)
			continue
		}
		limit := repositories*each[can.Kind] + few
		if total(first) > limit || total(second) > total(first) {
			t.Errorf("%s: %d requests, then %d, and at most %d are right: %s; %s", can.Kind, total(first), total(second), limit, byType(first), byType(second))
		}
	}
}
