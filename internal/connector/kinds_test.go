package connector_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestConformance tries every kind on the emulator.
func TestConformance(t *testing.T) {
	for _, c := range connector.Kinds() {
		t.Run(string(c.Kind), func(t *testing.T) { conform(t, c) })
	}
}

func conform(t *testing.T, c connector.Capabilities) {
	small := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 3, Tags: 30})
	t.Run("lists", func(t *testing.T) { small.Lists(t) })
	t.Run("pulls", func(t *testing.T) { small.Pulls(t) })
	t.Run("concurrently", func(t *testing.T) { small.Concurrently(t) })
	t.Run("wrong secret", func(t *testing.T) { small.RefusesWrongSecrets(t) })
	t.Run("expiry", func(t *testing.T) { small.SurvivesExpiry(t) })
	t.Run("pauses", func(t *testing.T) { small.WaitsWhenAsked(t, pausesOf(c.Kind)...) })
	t.Run("attacker", func(t *testing.T) { small.KeepsCredentials(t) })

	tall := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 1, Tags: 1010})
	if c.Kind != tidewaiter.KindGAR && c.Kind != tidewaiter.KindIBM && c.Kind != tidewaiter.KindOpenShift && c.Kind != tidewaiter.KindOCIR { // one answer holds all
		t.Run("cut tags", func(t *testing.T) {
			tall.EndsLoudly(t, func(s *connector.Source, cursor string) (int, string, error) {
				tags, next, err := s.Tags(t.Context(), tall.Repositories[0], cursor)
				return len(tags), next, err
			}, 1010)
		})
	}
	wide := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 1010, Tags: 2})
	if c.Kind != tidewaiter.KindIBM { // one answer holds all
		t.Run("cut repositories", func(t *testing.T) {
			wide.EndsLoudly(t, func(s *connector.Source, cursor string) (int, string, error) {
				names, next, err := s.Repositories(t.Context(), cursor)
				return len(names), next, err
			}, 1010)
		})
	}
	t.Run("many repositories", func(t *testing.T) { wide.Lists(t) })
	t.Run("many tags", func(t *testing.T) { tall.Lists(t) })
}

func pausesOf(kind tidewaiter.RegistryKind) []emulator.Pause {
	switch kind {
	case tidewaiter.KindDockerHub:
		return []emulator.Pause{emulator.PauseSeconds, emulator.PauseUnix, emulator.PauseXReset}
	case tidewaiter.KindGHCR:
		return []emulator.Pause{emulator.PauseSeconds, emulator.PauseXReset}
	case tidewaiter.KindGitLab:
		return []emulator.Pause{emulator.PauseSeconds, emulator.PauseReset}
	}
	return []emulator.Pause{emulator.PauseSeconds, emulator.PauseDate}
}
