package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// judgedShop declares a registry with one blocked image, shop:v1.
func (s *server) judgedShop() *tidewaiter.Image {
	s.Helper()
	r, err := s.control.AddRegistry(s.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://r.example",
		Origin: tidewaiter.OriginNative, Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "shop"}}}}, false)
	s.must(err)
	img := &tidewaiter.Image{Digest: "sha256:" + strings.Repeat("a", 64), Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}}
	now := time.Now()
	s.must(s.store.Update(s.Context(), func(tx *store.Tx) error {
		ctx := s.Context()
		ids, err := tx.RecordRepositories(ctx, r.ID, "scan", r.Host(), []store.RepositoryDecision{
			{Name: "shop", Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
		if err != nil {
			return err
		}
		tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: r.ID, ScanID: "scan", RepositoryID: ids["shop"], Analyzer: "a",
			Tags: []tidewaiter.ListedTag{{Name: "v1", Digest: img.Digest}}, Now: now})
		if err != nil {
			return err
		}
		if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: img.Digest, Images: []*tidewaiter.Image{img},
			Analyzer: "a", Now: now, Source: store.Source{RegistryID: r.ID, Repository: "shop"}}); err != nil {
			return err
		}
		_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Now: now,
			Judgement: &tidewaiter.Judgement{Advisories: "v1", Analyzer: "a", JudgedAt: now, Verdict: tidewaiter.Verdict{
				Effect: tidewaiter.EffectBlock, Rules: []string{"strict"}, Blocks: 1, Reasons: []tidewaiter.VerdictReason{{
					Effect: tidewaiter.EffectBlock, Rule: "strict", Vulnerability: "CVE-1", Package: "zlib 1", FixedIn: "2",
					Severity: tidewaiter.SeverityCritical, Why: "critical"}}}}})
		return err
	}))
	return img
}

func TestVerdict(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		img := s.judgedShop()
		ci := s.as(tidewaiter.RoleCI)
		for _, name := range []string{"r.example/shop:v1", "r.example/shop@" + img.Digest, img.Digest} {
			v, err := ci.Verdict(t.Context(), client.VerdictQuery{Image: name})
			s.must(err)
			if v.Effect != "block" || !v.Current || v.Digest != img.Digest || len(v.Platforms) != 1 {
				t.Fatalf("%s: %+v", name, v)
			}
			p := v.Platforms[0]
			if p.Platform != "linux/amd64" || p.Advisories != "v1" || p.JudgedAt.IsZero() || len(p.Verdict.Reasons) != 1 || p.Verdict.Reasons[0].FixedIn != "2" {
				t.Errorf("%s: %+v", name, p)
			}
		}
		for image, reason := range map[string]string{"r.example/shop:v2": "not_scanned", "r.example/other": "not_in_scope", "other.example/shop": "not_declared"} {
			_, err := ci.Verdict(t.Context(), client.VerdictQuery{Image: image})
			got, ok := client.NoVerdict(err)
			e := s.wantProblem(err, 404, tidewaiter.ErrorKind("no_verdict:"+reason))
			if !ok || got != reason || e.Fix == "" || !strings.Contains(e.Detail, image) {
				t.Errorf("%s: %q of %+v", image, got, e)
			}
		}
		if _, err := s.as(tidewaiter.RoleAuditor).Verdict(t.Context(), client.VerdictQuery{Image: "r.example/shop:v2", Wait: time.Second}); err == nil {
			t.Error("an auditor had an image scanned")
		} else {
			s.wantProblem(err, 403, tidewaiter.ErrForbidden)
		}
		if len(s.jobs.list) != 0 {
			t.Errorf("jobs: %+v", s.jobs.list)
		}
		for _, query := range []string{"", "?image=", "?image=A%20B", "?image=x&wait=soon", "?image=x&wait=2h", "?image=x&platform=amd64"} {
			if status, _, body := s.call("GET", "/verdict"+query, ""); status != 422 || !strings.Contains(body, "location") {
				t.Errorf("%s: %d %s", query, status, body)
			}
		}
	})
}
