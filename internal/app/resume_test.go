package app_test

import (
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// TestListingGoesOnAfterACrash kills a server half-way through a listing, twice. What is stored of it is not asked for
// again, and the images that wait to be looked into do not hold up the rest of it.
func TestListingGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		const repositories, tags = 200, 40
		const inFlight = 40 // repositories listed at once, which a crash makes start over
		e, err := emulator.New(emulator.Options{Kind: emulator.ACR, Repositories: repositories, Tags: tags, Indexes: -1, Artifacts: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Inject(emulator.Fault{Pattern: `_tags`, Delay: 20 * time.Millisecond}); err != nil { // so that there is a middle
			t.Fatal(err)
		}
		c := childSettings{Data: t.TempDir(), Database: database, Workers: 2, Advisories: []string{"127.0.0.1:1/none:1"}}
		p := spawn(t, c)
		l := e.Login()
		p.write(t, "POST", "/api/v1/credentials", map[string]any{"_id": "admin", "type": "basic", "accountID": l.Username, "secret": map[string]any{"plain": l.Password}})
		p.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []map[string]any{
			{"version": "azure", "registry": e.URL, "credentialID": "admin"},
		}})
		asked := func() int { return e.Counts()["GET /acr/v1/{name}/_tags"] }
		for _, share := range []int{3, 2} {
			eventually(t, "a part is listed", func() bool { return asked() >= repositories/share })
			p.kill()
			p = spawn(t, c)
		}
		eventually(t, "all is listed", func() bool { return p.listed(t) == repositories })
		if n := asked(); n > repositories+2*inFlight {
			t.Errorf("%d lists of tags asked for, of %d repositories", n, repositories)
		}
		if n := e.Counts()["GET /acr/v1/_catalog"]; n != 1 {
			t.Errorf("the list of repositories was asked for %d times", n)
		}
	})
}

// listed is how many repositories of the only registry are listed.
func (p *process) listed(t *testing.T) int {
	t.Helper()
	var now []struct{ Discovery struct{ Scanned int } }
	p.read(t, "/api/v1/registry/progress", &now)
	if len(now) != 1 {
		return 0
	}
	return now[0].Discovery.Scanned
}
