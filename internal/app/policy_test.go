package app_test

import (
	"net/http"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestPolicyChangeJudgesStoredImages changes a policy over the API and waits until every stored verdict follows, without the
// registry being asked for anything.
func TestPolicyChangeJudgesStoredImages(t *testing.T) {
	registry := sampleRegistry(t)
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		s.declare(t, registry.URL)
		s.finished(t)
		before := s.metric(t, "tidewaiter_images_judged_total")
		api := client{s.URL()}
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
