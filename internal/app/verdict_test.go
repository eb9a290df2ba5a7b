package app_test

import (
	"net/http"
	"testing"
	"time"

	api "github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// blockFrom makes one rule that blocks from a severity on.
func (s *server) blockFrom(t *testing.T, severity tidewaiter.Severity) {
	t.Helper()
	if err := s.control.PutPolicy(t.Context(), &tidewaiter.Policy{Kind: tidewaiter.PolicyVulnerability, Rules: []tidewaiter.Rule{{
		Name: "strict", Collections: []string{tidewaiter.CollectionAll}, Alert: tidewaiter.Threshold{Enabled: true},
		Block: tidewaiter.Threshold{Enabled: true, Severity: severity}}}}); err != nil {
		t.Fatal(err)
	}
}

func (s *server) api(t *testing.T) *api.Client {
	t.Helper()
	c, err := api.New(s.URL(), api.Basic("admin", adminPassword))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestVerdictOfWhatNobodyScanned asks for an image of a registry that was declared and not scanned: many at once wait for one
// scan, which really pulls it, and a tag that moves since is looked at again.
func TestVerdictOfWhatNobodyScanned(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	registry := sampleRegistry(t)
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		s.blockFrom(t, tidewaiter.SeverityCritical)
		r := &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: registry.URL, Origin: tidewaiter.OriginNative}
		if _, err := s.control.AddRegistry(t.Context(), r, false); err != nil {
			t.Fatal(err)
		}
		image := registry.Host + "/shop/frontend:1.4.1"
		if _, err := s.api(t).Verdict(t.Context(), api.VerdictQuery{Image: image}); !isUnknown(err, "not_scanned") {
			t.Fatalf("before it is scanned: %v", err)
		}
		const n = 8
		answers := make(chan error, n)
		for range n {
			go func() {
				v, err := s.api(t).Verdict(t.Context(), api.VerdictQuery{Image: image, Wait: time.Minute})
				if err == nil && (v.Effect != "block" || !v.Current || v.Platforms[0].Verdict.Blocks == 0 || v.Platforms[0].Verdict.Reasons[0].FixedIn == "") {
					t.Errorf("%+v", v)
				}
				answers <- err
			}()
		}
		for range n {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if scans, _, err := s.control.Scans(t.Context(), control.ScanFilter{}); err != nil || len(scans) != 1 {
			t.Errorf("%d scans, %v", len(scans), err)
		}
		for name, reason := range map[string]string{"shop/frontend:none": "gone", "charts/shop:1.4.2": "no_image"} {
			if _, err := s.api(t).Verdict(t.Context(), api.VerdictQuery{Image: registry.Host + "/" + name, Wait: time.Minute}); !isUnknown(err, reason) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if status, body := (vendor{s.URL()}).call(t, http.MethodGet, "/tidewaiter/v1/verdict?image="+image+"&platform=linux/arm64", nil); status != http.StatusNotFound {
			t.Errorf("another platform: %d %s", status, body)
		}
	})
}

func isUnknown(err error, want string) bool {
	reason, ok := api.NoVerdict(err)
	return ok && reason == want
}
