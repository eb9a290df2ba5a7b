package api_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// vulnerable stores images that hold a package with two vulnerabilities.
func (s *server) vulnerable(images int) {
	s.Helper()
	ctx, now := s.Context(), time.Now()
	p := &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Type: "node-pkg", Name: "left-pad", Version: "1.0.0"}
	s.must(s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{{ID: "reg", URL: "https://r.example.com", CreatedAt: now, UpdatedAt: now}}); err != nil {
			return err
		}
		if err := tx.InternPackages(ctx, []*tidewaiter.Package{p}); err != nil {
			return err
		}
		return tx.SaveFindings(ctx, "v1", map[int64][]tidewaiter.Finding{p.ID: {
			{Vulnerability: "CVE-2021-44228", Severity: tidewaiter.SeverityCritical, FixedIn: "1.0.1"}, {Vulnerability: "CVE-2020-0001", Severity: tidewaiter.SeverityLow},
		}}, map[string]*tidewaiter.Vulnerability{"CVE-2021-44228": {ID: "CVE-2021-44228", Title: "Log4Shell", Severity: tidewaiter.SeverityCritical, Score: 10}}, now)
	}))
	for i := range images {
		digest := fmt.Sprintf("sha256:%064d", i)
		image := &tidewaiter.Image{Digest: digest, ConfigDigest: digest, Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}}
		s.must(s.store.Update(ctx, func(tx *store.Tx) error {
			repositories, err := tx.RecordRepositories(ctx, "reg", "scan", "r.example.com", []store.RepositoryDecision{{Name: "app", Decision: tidewaiter.Decision{Included: true}}})
			if err != nil {
				return err
			}
			tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: "reg", ScanID: "scan", RepositoryID: repositories["app"],
				Tags: []tidewaiter.ListedTag{{Name: fmt.Sprint("v", i)}}, Analyzer: "a", Now: now})
			if err != nil {
				return err
			}
			if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: digest, Images: []*tidewaiter.Image{image}, Analyzer: "a", Now: now}); err != nil {
				return err
			}
			_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: image.ID, Now: now, Judgement: &tidewaiter.Judgement{Analyzer: "a", JudgedAt: now},
				Content: &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p}}}})
			return err
		}))
	}
}

func TestVulnerabilities(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.vulnerable(3)
		ctx, c := t.Context(), s.as(tidewaiter.RoleAuditor)
		page, err := c.Vulnerabilities(ctx, client.VulnerabilityQuery{Limit: 1})
		s.must(err)
		if len(page.Items) != 1 || page.Next == "" || page.CountedAt.IsZero() {
			t.Fatalf("%+v", page)
		}
		if v := page.Items[0]; v.Name != "CVE-2021-44228" || v.Severity != "critical" || v.Score != 10 || v.Images != 3 || v.Packages != 1 || !v.Fixable || v.EPSS != nil || v.KEV != nil {
			t.Errorf("%+v", v)
		}
		next, err := c.Vulnerabilities(ctx, client.VulnerabilityQuery{Limit: 1, After: page.Next})
		s.must(err)
		if len(next.Items) != 1 || next.Items[0].Name != "CVE-2020-0001" || next.Next != "" {
			t.Errorf("%+v", next)
		}

		// What feeds say is there at once, and the next image is counted at the next look.
		s.must(s.control.TakeEPSS(ctx, tidewaiter.Feed{Kind: tidewaiter.FeedEPSS, Version: "e1", Date: time.Now()}, func(yield func(tidewaiter.EPSSScore, error) bool) {
			_ = yield(tidewaiter.EPSSScore{Name: "CVE-2020-0001", Score: 0.9, Percentile: 0.99}, nil)
		}))
		s.must(s.control.TakeKEV(ctx, tidewaiter.Feed{Kind: tidewaiter.FeedKEV, Version: "k1"}, map[string]tidewaiter.KEV{"CVE-2021-44228": {Added: time.Now(), Ransomware: true}}))
		for name, q := range map[string]client.VulnerabilityQuery{
			"CVE-2020-0001":  {Sort: "epss", MinEPSS: 0.5},
			"CVE-2021-44228": {KEV: true, Fixable: true, Severity: "high", Search: "cve-2021"},
		} {
			page, err := c.Vulnerabilities(ctx, q)
			s.must(err)
			if len(page.Items) != 1 || page.Items[0].Name != name {
				t.Errorf("%+v: %+v", q, page.Items)
			}
		}
		status, err := c.Status(ctx)
		s.must(err)
		if len(status.Feeds) != 2 || status.Feeds[0].Entries != 1 || status.Database.Bytes == 0 {
			t.Errorf("%+v", status)
		}

		v, err := c.Vulnerability(ctx, "CVE-2021-44228", 2, "")
		s.must(err)
		if v.Title != "Log4Shell" || v.KEV == nil || !v.KEV.Ransomware || len(v.FoundIn) != 1 || v.FoundIn[0].FixedIn != "1.0.1" || len(v.ImagesPage.Items) != 2 {
			t.Errorf("%+v", v)
		}
		rest, err := c.Vulnerability(ctx, "CVE-2021-44228", 2, v.ImagesPage.Next)
		s.must(err)
		if len(rest.ImagesPage.Items) != 1 || rest.ImagesPage.Next != "" || rest.ImagesPage.Items[0].Names[0] != "r.example.com/app:v2" {
			t.Errorf("%+v", rest.ImagesPage)
		}
		_, err = c.Vulnerability(ctx, "CVE-1999-0001", 0, "")
		s.wantProblem(err, 404, tidewaiter.ErrNotFound)
		for _, q := range []client.VulnerabilityQuery{{Sort: "beauty"}, {MinEPSS: 2}, {Severity: "bad"}, {After: "nonsense"}} {
			_, err := c.Vulnerabilities(ctx, q)
			if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 422 {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

// TestExploitedIsJudgedAgain: when the catalog lists others than before, and only then, all images are judged again by it.
func TestExploitedIsJudgedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		ctx := t.Context()
		generation := func() int64 {
			n, err := s.store.Generation(ctx, policy.GenerationKey)
			s.must(err)
			return n
		}
		take := func(version string, catalog map[string]tidewaiter.KEV) (jobs int, moved bool) {
			before := generation()
			s.jobs.list = nil
			s.must(s.control.TakeKEV(context.WithoutCancel(ctx), tidewaiter.Feed{Kind: tidewaiter.FeedKEV, Version: version}, catalog))
			return len(s.jobs.list), generation() != before
		}
		one := map[string]tidewaiter.KEV{"CVE-2021-44228": {Added: time.Now()}}
		for i, c := range []struct {
			version string
			catalog map[string]tidewaiter.KEV
			again   bool
		}{{"1", one, true}, {"1", one, false}, {"2", one, false}, {"3", map[string]tidewaiter.KEV{}, true}} {
			jobs, moved := take(c.version, c.catalog)
			if moved != c.again || (jobs == 1) != c.again || jobs == 1 && s.jobs.list[0].Kind != policy.JobApply {
				t.Errorf("%d: %d jobs, generation moved %t, want %t", i, jobs, moved, c.again)
			}
		}
	})
}
