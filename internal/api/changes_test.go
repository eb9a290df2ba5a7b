package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// judgedTwice stores an image that is judged by advisories and by later ones that know of one more vulnerability.
func (s *server) judgedTwice(digest string) {
	s.Helper()
	ctx := s.Context()
	p := &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Name: "left-pad", Version: "1.0.0"}
	img := &tidewaiter.Image{Digest: digest, ConfigDigest: digest, CreatedAt: time.Now()}
	s.must(s.store.Update(ctx, func(tx *store.Tx) error {
		if _, _, err := tx.UpsertImage(ctx, img); err != nil {
			return err
		}
		return tx.InternPackages(ctx, []*tidewaiter.Package{p})
	}))
	for n, version := range []string{"v1", "v2"} {
		var findings []tidewaiter.Finding
		j := &tidewaiter.Judgement{Advisories: version, Analyzer: "a", JudgedAt: time.Now(), Verdict: tidewaiter.Verdict{Effect: tidewaiter.EffectIgnore}}
		if n == 1 {
			findings = []tidewaiter.Finding{{Vulnerability: "CVE-2024-1", Severity: tidewaiter.SeverityHigh, FixedIn: "1.0.1"}}
			j.Vulnerabilities.High, j.Verdict.Effect = 1, tidewaiter.EffectBlock
		}
		s.must(s.store.Update(ctx, func(tx *store.Tx) error {
			return tx.SaveFindings(ctx, version, map[int64][]tidewaiter.Finding{p.ID: findings}, nil, time.Now())
		}))
		generation, err := s.store.FindingsGeneration(ctx)
		s.must(err)
		s.must(s.store.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.SaveJudgement(context.WithoutCancel(ctx), store.SaveJudgement{ImageID: img.ID, Judgement: j, Findings: generation, Now: time.Now(),
				Content: &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p}}}})
			return err
		}))
	}
}

func TestWhatChangedForAnImage(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		const digest = "sha256:0123"
		s.judgedTwice(digest)
		got, err := s.as(tidewaiter.RoleAuditor).ImageChanges(t.Context(), digest, 1, "")
		s.must(err)
		if len(got.Items) != 1 || got.Next == "" {
			t.Fatalf("first page: %+v", got)
		}
		c := got.Items[0]
		if c.Cause != "advisories" || c.Before == nil || c.Before.Advisories != "v1" || c.Before.Effect != "ignore" || c.After.Effect != "block" ||
			c.After.Advisories != "v2" || c.Counts != (client.ChangeCounts{New: 1}) || len(c.Findings) != 1 {
			t.Fatalf("got %+v", c)
		}
		f := c.Findings[0]
		if f.Change != "new" || f.Vulnerability != "CVE-2024-1" || f.Package != "left-pad" || f.Before != nil || f.After == nil || f.After.Severity != "high" ||
			f.After.FixedIn != "1.0.1" {
			t.Errorf("got %+v", f)
		}
		got, err = s.as(tidewaiter.RoleAuditor).ImageChanges(t.Context(), digest, 1, got.Next)
		s.must(err)
		if len(got.Items) != 1 || got.Next != "" || got.Items[0].Cause != "first" || got.Items[0].Before != nil {
			t.Errorf("second page: %+v", got)
		}
		_, err = s.as(tidewaiter.RoleAuditor).ImageChanges(t.Context(), "sha256:unknown", 1, "")
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != http.StatusNotFound {
			t.Errorf("an unknown image: %v", err)
		}
	})
}
