package app_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestPolicyChangeJudgesStoredImages changes a policy over the API and waits until every stored verdict follows, without the
// registry being asked for anything.
func TestPolicyChangeJudgesStoredImages(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	registry := sampleRegistry(t)
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		s.declare(t, registry.URL)
		s.finished(t)
		before := s.metric(t, "tidewaiter_images_judged_total")
		api := vendor{s.URL()}
		rule := map[string]any{"name": "none passes", "collections": []any{map[string]any{"name": "All"}}, "effect": "block",
			"alertThreshold": map[string]any{"value": 1}, "blockThreshold": map[string]any{"enabled": true, "value": 1}}
		api.write(t, http.MethodPut, "/api/v1/policies/vulnerability/images", map[string]any{"rules": []any{rule}})
		eventually(t, "every image with something low or worse is blocked", func() bool {
			blocked := 0
			for _, row := range s.results(t) {
				j := row.Image.Judgement
				if j.Verdict.Effect == tidewaiter.EffectBlock {
					blocked++
				}
				v := j.Vulnerabilities
				if (j.Verdict.Effect == tidewaiter.EffectBlock) != (v.Critical+v.High+v.Medium+v.Low+v.Negligible > 0) {
					return false
				}
			}
			return blocked > 0
		})
		api.write(t, http.MethodPut, "/api/v1/policies/vulnerability/images", map[string]any{"rules": []any{}})
		eventually(t, "nothing is blocked without rules", func() bool {
			for _, row := range s.results(t) {
				if row.Image.Judgement.Verdict.Effect == tidewaiter.EffectBlock {
					return false
				}
			}
			return true
		})
		if after := s.metric(t, "tidewaiter_images_judged_total"); after != before {
			t.Errorf("%v images were matched again", after-before)
		}
	})
}

// TestNewBaseImageIsKnownAtOnce declares what base images are called before there are any: each becomes one when it is scanned,
// and what was scanned before it is judged again.
func TestNewBaseImageIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	registry := sampleRegistry(t)
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		api := vendor{s.URL()}
		rule := map[string]any{"name": "own findings only", "collections": []any{map[string]any{"name": "All"}}, "excludeBaseImageVulns": true,
			"alertThreshold": map[string]any{"value": 1}}
		api.write(t, http.MethodPut, "/api/v1/policies/vulnerability/images", map[string]any{"rules": []any{rule}})
		api.write(t, http.MethodPost, "/api/v1/policies/vulnerability/base-images", map[string]any{"_id": "*/library/*:*"})
		s.declare(t, registry.URL)
		s.finished(t)
		var results []struct {
			ID              string `json:"_id"`
			BaseImage       string `json:"baseImage"`
			Vulnerabilities []any  `json:"vulnerabilities"`
		}
		api.read(t, "/api/v1/registry?limit=250", &results)
		all := map[string]int{}
		for _, r := range results {
			all[r.ID] = len(r.Vulnerabilities)
		}
		api.read(t, "/api/v1/registry?limit=250&filterBaseImage=true", &results)
		based := 0
		for _, r := range results {
			if r.BaseImage != "" {
				based++
				if len(r.Vulnerabilities) >= all[r.ID] {
					t.Errorf("%s over %s: %d of %d vulnerabilities are left", r.ID, r.BaseImage, len(r.Vulnerabilities), all[r.ID])
				}
			}
		}
		if based < 3 {
			t.Fatalf("%d of %d images have a base image", based, len(results))
		}
		// The stored verdict counts the same findings as what is shown to alert.
		eventually(t, "verdicts leave the base image out", func() bool {
			rows := s.results(t)
			for _, r := range results {
				for name, row := range rows {
					if r.BaseImage == "" || r.ID != row.Tag.Reference() && r.ID != name {
						continue
					}
					if j := row.Image.Judgement; j.Verdict.Alerts+j.Verdict.Blocks > len(r.Vulnerabilities)+j.Checks.Total() {
						return false
					}
				}
			}
			return true
		})
	})
}

// TestConsoleVersion: clients of the vendor's API read the first two numbers of the version and choose by them what to send.
func TestConsoleVersion(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Version: "dev"})
	var version string
	vendor{s.URL()}.read(t, "/api/v1/version", &version)
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(version) {
		t.Errorf("the console's version is %q", version)
	}
}
