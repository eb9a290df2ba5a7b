package app_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// listingLimit is what a server may take at its peak while it lists a registry of any size.
const listingLimit = 300 << 20

// TestListingStaysInMemory lists as many large repositories as are listed at once. More of them take no more memory, which
// the bench shows with a million tags.
func TestListingStaysInMemory(t *testing.T) {
	if testkit.UnderRace {
		t.Skip("the race detector takes memory of its own")
	}
	const repositories, tags = 40, 1500
	e, err := emulator.New(emulator.Options{Kind: emulator.ACR, Repositories: repositories, Tags: tags, Indexes: -1, Artifacts: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := spawn(t, childSettings{Data: t.TempDir(), Workers: 2, Advisories: []string{"127.0.0.1:1/none:1"}})
	l := e.Login()
	p.write(t, "POST", "/api/v1/credentials", map[string]any{"_id": "admin", "type": "basic", "accountID": l.Username, "secret": map[string]any{"plain": l.Password}})
	p.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []map[string]any{
		{"version": "azure", "registry": e.URL, "credentialID": "admin"},
	}})
	eventually(t, "all is listed", func() bool { return p.listed(t) == repositories })
	peak := peakMemory(t, p.cmd.Process.Pid)
	t.Logf("at most %d MiB", peak>>20)
	if peak > listingLimit {
		t.Errorf("the server took %d MiB, more than %d", peak>>20, listingLimit>>20)
	}
}
