package app_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// writes notes the requests that change a registry, and can refuse them.
type writes struct {
	mu      sync.Mutex
	made    int
	refused bool
}

func (w *writes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return http.DefaultTransport.RoundTrip(r)
	}
	w.mu.Lock()
	w.made++
	refused := w.refused
	w.mu.Unlock()
	if refused {
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"errors":[{"code":"DENIED","message":"read only"}]}`))}, nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (w *writes) set(refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = refused
}

func (w *writes) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made
}

func publishing(r *tidewaiter.Registry) {
	r.Scope = tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "shop/*"}}}
	r.Settings = map[string]string{tidewaiter.SettingPublishSBOM: "cyclonedx", tidewaiter.SettingPublishReport: "json"}
}

// published waits until every image of every row has its documents, and returns them by kind and repository.
func (s *server) published(t *testing.T, what string, fits func(tidewaiter.Publication) bool) map[string]tidewaiter.Publication {
	t.Helper()
	var out map[string]tidewaiter.Publication
	eventually(t, what, func() bool {
		out = map[string]tidewaiter.Publication{}
		rows := s.results(t)
		for _, row := range rows {
			list, err := s.control.PublicationsOf(t.Context(), row.Image.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) < 2 || !slices.ContainsFunc(list, func(p tidewaiter.Publication) bool { return p.Repository == row.Tag.Repository.Name }) {
				return false
			}
			for _, p := range list {
				if !fits(p) {
					return false
				}
				out[string(p.Kind)+" "+p.Repository+"@"+row.Image.Digest] = p
			}
		}
		return len(rows) > 0
	})
	return out
}

func pushed(p tidewaiter.Publication) bool { return p.Digest != "" && p.Error == "" }

// reader opens a registry to look at.
func reader(t *testing.T, url string) *oci.Registry {
	t.Helper()
	c := oci.New(oci.Options{AllowLoopback: true})
	t.Cleanup(c.Close)
	r, err := c.Registry(oci.Endpoint{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func referrers(t *testing.T, r *oci.Registry, repository, digest string) []oci.Referrer {
	t.Helper()
	out, err := r.Referrers(t.Context(), repository, digest)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestResultsArePushedIntoTheRegistry pushes documents about images into registries with and without a list of referrers, scans
// again, and changes a policy: what is the same is not pushed again, what is new takes the place of the old, and nothing of it comes
// back as an image.
func TestResultsArePushedIntoTheRegistry(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		if !apart(t) {
			return
		}
		r := testkit.Registry(t, testkit.Options{Delete: true})
		pushesInto(t, database, r.URL, r.Host)
	})
	t.Run("with the referrers API", func(t *testing.T) {
		beside(t)
		if !apart(t) {
			return
		}
		r := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(r.Close)
		pushesInto(t, "", r.URL, strings.TrimPrefix(r.URL, "http://"))
	})
}

func pushesInto(t *testing.T, database, url, host string) {
	if err := samples.Push(t.Context(), url, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	sent := &writes{}
	s := start(t, app.Config{Database: database, Advisories: []string{host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag},
		Transport: sent, PublishEvery: time.Second}).withAdvisories(t)
	declared := s.declare(t, url, publishing)
	s.finished(t)
	before := s.published(t, "all documents pushed", pushed)
	shown, r := len(s.results(t)), reader(t, url)
	for name, p := range before {
		_, digest, _ := strings.Cut(name, "@")
		list := referrers(t, r, p.Repository, digest)
		i := slices.IndexFunc(list, func(r oci.Referrer) bool { return r.Digest == p.Digest })
		want := map[tidewaiter.PublicationKind]string{"cyclonedx": "application/vnd.cyclonedx+json", "json": "application/vnd.tidewaiter.report+json"}[p.Kind]
		if i < 0 {
			t.Fatalf("%s: %+v is not among %+v", name, p, list)
		}
		m, _, err := r.Manifest(t.Context(), p.Repository, p.Digest)
		if err != nil || m.ArtifactType != want {
			t.Errorf("%s: %+v %v", name, m, err)
		}
	}

	s.rescan(t, declared)
	if got := len(s.results(t)); got != shown {
		t.Errorf("%d rows after pushing, before %d", got, shown)
	}
	made := sent.count()
	api := vendor{s.URL()}
	rule := map[string]any{"name": "none passes", "collections": []any{map[string]any{"name": "All"}}, "effect": "block",
		"alertThreshold": map[string]any{"value": 1}, "blockThreshold": map[string]any{"enabled": true, "value": 1}}
	api.write(t, http.MethodPut, "/api/v1/policies/vulnerability/images", map[string]any{"rules": []any{rule}})
	changed := false
	after := s.published(t, "all reports as of the new policy", func(p tidewaiter.Publication) bool {
		for _, old := range before {
			if old.ImageID != p.ImageID || old.Kind != p.Kind || old.Repository != p.Repository {
				continue
			}
			changes, _, err := s.control.ChangesOfImage(t.Context(), p.ImageID, control.Page{Limit: 1})
			if err != nil || len(changes) == 0 || p.Change != changes[0].ID {
				return false
			}
			changed = changed || p.Change != old.Change
		}
		return pushed(p) && changed
	})
	anew := 0
	for name, p := range after {
		old := before[name]
		if p.Kind == tidewaiter.PublishCycloneDX && p.Digest != old.Digest {
			t.Errorf("%s: what is in the image is the same, and was pushed again", name)
		}
		if p.Digest == old.Digest {
			continue
		}
		anew++
		_, digest, _ := strings.Cut(name, "@")
		for _, ref := range referrers(t, r, p.Repository, digest) {
			if ref.Digest == old.Digest {
				t.Errorf("%s: the old one is still listed", name)
			}
		}
	}
	if anew == 0 || sent.count() == made {
		t.Errorf("%d reports pushed anew", anew)
	}
}

// TestReadOnlyCredentialFailsNoScan refuses what writes: scans go well, the failure is shown, and when the registry was declared
// anew it is tried again.
func TestReadOnlyCredentialFailsNoScan(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		r := sampleRegistry(t)
		sent := &writes{refused: true}
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(r), Transport: sent, PublishEvery: time.Second}).withAdvisories(t)
		declared := s.declare(t, r.URL, publishing)
		if scan := s.finished(t)[declared.ID]; scan.State != tidewaiter.ScanCompleted || scan.ImagesFailed != 0 {
			t.Errorf("%+v", scan)
		}
		s.published(t, "all failures shown", func(p tidewaiter.Publication) bool {
			return p.ErrorKind == tidewaiter.ErrDenied && strings.Contains(p.Error, "DENIED") && p.Digest == "" && p.Attempts == 1 && !p.RetryAt.IsZero()
		})
		sent.set(false)
		if err := s.control.UpdateRegistry(t.Context(), declared); err != nil {
			t.Fatal(err)
		}
		s.published(t, "all documents pushed", pushed)
	})
}
