package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// webhook is the address a server takes events at.
func (s *server) webhook(t *testing.T) string {
	t.Helper()
	suffix, err := s.control.Suffix(t.Context(), control.SettingWebhookSuffix)
	if err != nil {
		t.Fatal(err)
	}
	return s.URL() + "/api/v1/registry/webhook/" + suffix
}

// declareQuietly adds a registry and does not have it scanned.
func (s *server) declareQuietly(t *testing.T, url string) *tidewaiter.Registry {
	t.Helper()
	r, err := s.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: url, Origin: tidewaiter.OriginNative}, false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// events lists the events in some states, all when none is given.
func (s *server) events(t *testing.T, states ...store.EventState) []*control.Event {
	t.Helper()
	list, _, err := s.control.ListEvents(t.Context(), control.EventFilter{States: states, Page: control.Page{Limit: 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (s *server) scans(t *testing.T) []*tidewaiter.Scan {
	t.Helper()
	list, _, err := s.control.Scans(t.Context(), control.ScanFilter{Page: control.Page{Limit: 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func someImage(name string) *samples.Manifest {
	return samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n")).
		Step("app", samples.File("app/package.json", `{"name":"`+name+`","version":"1.0.0"}`)).MustBuild()
}

// TestPushIsJudgedWithoutPolling has a real registry tell of a push and of a deletion.
func TestPushIsJudgedWithoutPolling(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(sampleRegistry(t))}).withAdvisories(t)
		registry := testkit.Registry(t, testkit.Options{Notify: s.webhook(t), Delete: true})
		s.declareQuietly(t, registry.URL)
		image := someImage("left-pad")
		push(t, registry.URL, "team/app", image, "v1")
		told := func() string {
			out := ""
			for _, e := range s.events(t) {
				out += fmt.Sprintf("%+v\n", e)
			}
			return out
		}
		eventually(t, "the pushed image is judged", func() bool {
			row, found := s.results(t)["team/app:v1"]
			return found && row.Image.Judgement != nil
		}, told)
		for _, scan := range s.scans(t) {
			if scan.Target == nil || scan.Lane != tidewaiter.LaneEvent {
				t.Errorf("a scan that no event started: %+v", scan)
			}
		}
		for _, e := range s.events(t, store.EventUnused) {
			if !strings.Contains(e.Reason, "not an image") && !strings.Contains(e.Reason, "the action") {
				t.Errorf("unused: %+v", e)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, registry.URL+"/v2/team/app/manifests/"+image.Digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Fatalf("delete: %d", res.StatusCode)
		}
		eventually(t, "the deleted tag is gone", func() bool {
			_, found := s.results(t)["team/app:v1"]
			return !found
		}, told)
	})
}

// envelope is what a distribution registry sends when a tag was pushed.
func envelope(action, host, repository, tag, digest string) string {
	return fmt.Sprintf(`{"events":[{"id":"e-1","timestamp":"2026-11-01T10:00:00Z","action":%q,"target":{"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"digest":%q,"repository":%q,"tag":%q},"request":{"host":%q}}]}`, action, digest, repository, tag, host)
}

// TestManyEventsForOneTagAreOneScan sends a thousand at once, some of them again later, and a deletion that is not true.
func TestManyEventsForOneTagAreOneScan(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		registry := testkit.Registry(t, testkit.Options{})
		s := start(t, app.Config{Database: database, Advisories: []string{registry.Host + "/none:1"}})
		s.declareQuietly(t, registry.URL)
		image := someImage("left-pad")
		push(t, registry.URL, "team/app", image, "v1")
		address := s.webhook(t)
		const senders, each = 20, 50
		var group sync.WaitGroup
		for range senders {
			group.Go(func() {
				for range each {
					s.send(t, address, envelope("push", registry.Host, "team/app", "v1", image.Digest))
				}
			})
		}
		group.Wait()
		eventually(t, "no event is new", func() bool { return len(s.events(t, store.EventNew)) == 0 })
		s.finished(t)
		s.send(t, address, envelope("push", registry.Host, "team/app", "v1", image.Digest))
		s.send(t, address, envelope("delete", registry.Host, "team/app", "v1", image.Digest))
		s.send(t, address, envelope("push", "registry.invalid", "team/app", "v1", "sha256:"+strings.Repeat("0", 64)))
		if err := s.control.ReplayEvent(t.Context(), s.events(t)[10].ID); err != nil {
			t.Error(err)
		}
		eventually(t, "no event is new", func() bool { return len(s.events(t, store.EventNew)) == 0 })
		if done, unused := s.events(t, store.EventDone), s.events(t, store.EventUnused); len(done) != senders*each+1 || len(unused) != 2 {
			t.Errorf("%d events were used and %d were not", len(done), len(unused))
			for _, e := range unused {
				t.Logf("%+v", e)
			}
		}
		s.finished(t)
		if scans := s.scans(t); len(scans) != 1 {
			t.Errorf("%d scans, want 1", len(scans))
		}
		if rows := s.results(t); len(rows) != 1 {
			t.Errorf("%d results, want 1", len(rows))
		}
	})
}

// send delivers an event and wants 200 with an empty body.
func (s *server) send(t *testing.T, address, body string) {
	res, err := http.Post(address, "application/vnd.docker.distribution.events.v2+json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if answer := readAll(t, res.Body); res.StatusCode != http.StatusOK || answer != "" {
		t.Errorf("%d %q", res.StatusCode, answer)
	}
}
