package connector_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestCost holds that a listing takes a request for each page and few more: logging in, and the lists of repositories.
func TestCost(t *testing.T) {
	const repositories, tags, few = 10, 250, 8
	pages := map[tidewaiter.RegistryKind]int{ // of tags, a repository; 1 for those not named
		tidewaiter.KindDockerHub: 3, tidewaiter.KindQuay: 3, tidewaiter.KindHarbor: 3, tidewaiter.KindDTR: 3,
		tidewaiter.KindGHCR: 4,                                                  // versions without tags count
		tidewaiter.KindOCI:  3,                                                  // a token for each repository, asked for twice on some
		tidewaiter.KindACR:  3, tidewaiter.KindGAR: 3, tidewaiter.KindGitLab: 3, // likewise
		tidewaiter.KindOCIR: 4, // and both its lists
	}
	for _, c := range connector.Kinds() {
		if c.Kind == tidewaiter.KindNexus {
			continue // its pages are small, whatever is asked
		}
		s := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: repositories, Tags: tags})
		source := s.Open(t)
		for _, name := range s.Repositories {
			for cursor := ""; ; {
				_, next, err := source.Tags(t.Context(), name, cursor)
				if err != nil {
					t.Fatal(err)
				}
				if cursor = next; next == "" {
					break
				}
			}
		}
		if _, _, err := source.Repositories(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if n, limit := s.Emulator.Count(), repositories*max(pages[c.Kind], 1)+few; n > limit {
			t.Errorf("%s: %d requests, more than %d: %v", c.Kind, n, limit, s.Emulator.Counts())
		}
	}
}
