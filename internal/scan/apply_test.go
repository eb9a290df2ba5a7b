package scan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (f *fleet) try(job tidewaiter.Job) error {
	f.Helper()
	args, err := json.Marshal(job.Args)
	f.must(err)
	for _, s := range f.pipeline.Stages() {
		if s.Kind == job.Kind {
			return s.Work(context.Background(), tidewaiter.JobRun{Kind: job.Kind, Lane: job.Lane, Args: args, Attempt: 1, MaxAttempts: 5})
		}
	}
	return fmt.Errorf("no stage for %s", job.Kind)
}

func onBoth(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, "") })
	t.Run("postgres", func(t *testing.T) { f(t, testkit.Postgres(t)) })
}

func TestPolicyChangeReachesStoredImages(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		f := newFleet(t, url)
		f.add(1, []string{"team/bad:1", "team/bad:2"}, f.packages(3, 0, "bad", tidewaiter.SeverityCritical, tidewaiter.SeverityLow), digest(100))
		f.add(10, []string{"team/good:1"}, f.packages(3, 0, "good", tidewaiter.SeverityLow), digest(101))
		f.work(policy.NewApplyJob())
		if diff := cmp.Diff(map[string]tidewaiter.Effect{"team/bad:1": "alert", "team/bad:2": "alert", "team/good:1": "alert"}, f.verdicts()); diff != "" {
			t.Fatalf("default rules: %s", diff)
		}
		f.put(blockFrom(tidewaiter.SeverityHigh))
		f.now = f.now.Add(time.Hour)
		f.work(policy.NewApplyJob())
		if diff := cmp.Diff(map[string]tidewaiter.Effect{"team/bad:1": "block", "team/bad:2": "block", "team/good:1": "alert"}, f.verdicts()); diff != "" {
			t.Errorf("block from high: %s", diff)
		}
		images, err := f.db.JudgedImages(t.Context(), 0, 10)
		f.must(err)
		for _, img := range images {
			if !img.Judgement.JudgedAt.Equal(noon) || img.Judgement.Advisories != advisories {
				t.Errorf("the scan itself changed: %+v", img.Judgement)
			}
		}
		changed, _, err := f.db.Images(t.Context(), store.ImageFilter{UpdatedSince: f.now, Page: store.Page{Limit: 10}})
		f.must(err)
		if len(changed) != 3 { // the rule's name is part of the verdict
			t.Errorf("%d images were written", len(changed))
		}
		f.now = f.now.Add(time.Hour)
		f.work(policy.NewApplyJob())
		changed, _, err = f.db.Images(t.Context(), store.ImageFilter{UpdatedSince: f.now, Page: store.Page{Limit: 10}})
		f.must(err)
		if len(changed) != 0 {
			t.Errorf("nothing changed, %d images were written", len(changed))
		}
	})
}

// TestStoredVerdictIsWhatEvaluateSays compares the walk with judging each image by itself from its full result.
func TestStoredVerdictIsWhatEvaluateSays(t *testing.T) {
	f := newFleet(t, "")
	f.add(1, []string{"team/a:1", "team/a:2"}, f.packages(4, 0, "a", tidewaiter.SeverityCritical, tidewaiter.SeverityMedium), digest(100), digest(102))
	f.add(10, []string{"team/b:1"}, f.packages(2, 1, "b", tidewaiter.SeverityHigh), digest(100), digest(103))
	rule := blockFrom(tidewaiter.SeverityMedium)
	rule.Grace.Days = 5
	rule.RiskFactors = []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskNetwork, Effect: tidewaiter.EffectBlock}}
	rule.Licenses = tidewaiter.LicenseRule{Alert: tidewaiter.Threshold{Enabled: true, Severity: tidewaiter.SeverityLow}, Severities: map[string]tidewaiter.Severity{"MIT": tidewaiter.SeverityHigh}}
	f.put(rule)
	f.work(policy.NewApplyJob())
	_, collections := policy.Defaults()
	compliance, err := f.db.Policy(t.Context(), tidewaiter.PolicyCompliance)
	f.must(err)
	images, err := f.db.JudgedImages(t.Context(), 0, 10)
	f.must(err)
	for _, img := range images {
		r, err := f.db.Result(t.Context(), img.ID)
		f.must(err)
		in := policy.Input{Vulnerability: &tidewaiter.Policy{Rules: []tidewaiter.Rule{rule}}, Compliance: compliance,
			Collections: map[string]tidewaiter.Collection{collections[0].Name: collections[0]}, Names: img.Names, Findings: policy.Findings(r),
			Checks: r.Checks, Content: r.Content, Config: &r.Image.Config, Now: f.now}
		if diff := cmp.Diff(policy.Evaluate(in).Verdict, img.Judgement.Verdict); diff != "" || img.Judgement.Verdict.Effect != "block" {
			t.Errorf("image %d: %s", img.ID, diff)
		}
	}
}

// TestChangeDuringAWalkEndsIt: a verdict by policies that are out of force is never stored, whoever made it.
func TestChangeDuringAWalkEndsIt(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		f := newFleet(t, url)
		f.add(1, []string{"team/a:1"}, f.packages(1, 0, "a", tidewaiter.SeverityCritical), digest(100))
		f.put(blockFrom(tidewaiter.SeverityCritical))
		f.work(policy.NewApplyJob())
		old := policy.NextApplyJob(policy.ApplyArgs{Generation: 1, After: 1})
		f.put(tidewaiter.Rule{Name: "mild", Collections: []string{tidewaiter.CollectionAll}})
		f.work(old)
		if got := f.verdicts()["team/a:1"]; got != "block" {
			t.Errorf("a walk of older policies went on: %s", got)
		}
		f.work(policy.NewApplyJob())
		if got := f.verdicts()["team/a:1"]; got != "ignore" {
			t.Errorf("the new walk left %s", got)
		}
	})
}

// TestDamagedContentStopsNothingElse: one image that cannot be read keeps its verdict, the others get theirs.
func TestDamagedContentStopsNothingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		f := newFleet(t, url)
		f.add(1, []string{"team/a:1", "team/a:2", "team/a:3"}, f.packages(1, 0, "a", tidewaiter.SeverityCritical), digest(100))
		f.work(policy.NewApplyJob())
		if _, err := f.db.Writer().ExecContext(t.Context(), "update image_contents set doc = $1 where image_id = 2", []byte("damaged")); err != nil {
			t.Fatal(err)
		}
		f.put(blockFrom(tidewaiter.SeverityHigh))
		f.work(policy.NewApplyJob())
		want := map[string]tidewaiter.Effect{"team/a:1": "block", "team/a:2": "alert", "team/a:3": "block"}
		if diff := cmp.Diff(want, f.verdicts()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBaseImagesAreLeftOut(t *testing.T) {
	f := newFleet(t, "")
	base := f.packages(2, 0, "base", tidewaiter.SeverityCritical)
	own := f.packages(1, 1, "own", tidewaiter.SeverityLow)
	f.add(1, []string{"library/base:12"}, base, digest(100))
	f.add(10, []string{"team/app:1"}, &tidewaiter.Content{Installed: slices.Concat(base.Installed, own.Installed)}, digest(100), digest(200))
	rule := blockFrom(tidewaiter.SeverityCritical)
	rule.ExcludeBase = true
	f.put(rule)
	f.work(policy.NewApplyJob())
	if got := f.verdicts()["team/app:1"]; got != "block" {
		t.Fatalf("without a declared base: %s", got)
	}
	declared := []policy.BaseImage{{Pattern: "r.example.com/library/base:*"}}
	img, err := f.db.ImageByDigest(t.Context(), digest(1))
	f.must(err)
	declared[0].Keep(policy.StackOf("r.example.com/library/base:12", img))
	stored, err := json.Marshal(declared)
	f.must(err)
	f.update(func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.NextGeneration(ctx, policy.GenerationKey, f.now); err != nil {
			return err
		}
		return tx.PutSetting(ctx, policy.BaseImagesKey, string(stored), f.now)
	})
	f.work(policy.NewApplyJob())
	want := map[string]tidewaiter.Effect{"library/base:12": "block", "team/app:1": "alert"}
	if diff := cmp.Diff(want, f.verdicts()); diff != "" {
		t.Errorf("with a declared base: %s", diff)
	}
}

func TestTimePassingEndsAGracePeriod(t *testing.T) {
	f := newFleet(t, "")
	f.add(1, []string{"team/a:1"}, f.packages(1, 0, "a", tidewaiter.SeverityCritical), digest(100))
	rule := blockFrom(tidewaiter.SeverityCritical)
	rule.Grace.Days = 2
	f.put(rule)
	f.work(policy.NewApplyJob())
	if got := f.verdicts()["team/a:1"]; got != "alert" {
		t.Fatalf("in the grace period: %s", got)
	}
	f.now = f.now.Add(49 * time.Hour)
	f.work(policy.TimedApplyJob())
	if got := f.verdicts()["team/a:1"]; got != "block" {
		t.Errorf("after it: %s", got)
	}
}

// BenchmarkApplyPolicies changes the policy between two that differ for every image: images judged and written each second.
func BenchmarkApplyPolicies(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkApply(b, "") })
	b.Run("postgres", func(b *testing.B) { benchmarkApply(b, testkit.Postgres(b)) })
}

func benchmarkApply(b *testing.B, url string) {
	f := newFleet(b, url)
	const images, kinds = 2000, 20
	var contents []*tidewaiter.Content
	for i := range kinds {
		contents = append(contents, f.packages(150, 0, fmt.Sprintf("k%d", i), tidewaiter.SeverityCritical, tidewaiter.SeverityMedium, tidewaiter.SeverityLow))
	}
	for i := range images / 100 {
		names := make([]string, 100)
		for j := range names {
			names[j] = fmt.Sprintf("team/app%d:%d", i, j)
		}
		f.add(1+i*100, names, contents[i%kinds], digest(9_000_000), digest(9_000_001+i))
	}
	strict, mild := blockFrom(tidewaiter.SeverityCritical), tidewaiter.Rule{Name: "mild", Collections: []string{tidewaiter.CollectionAll}, Alert: tidewaiter.Threshold{Enabled: true}}
	n := 0
	for b.Loop() {
		if n++; n%2 == 0 {
			f.put(strict)
		} else {
			f.put(mild)
		}
		f.work(policy.NewApplyJob())
	}
	b.ReportMetric(float64(images*n)/b.Elapsed().Seconds(), "images/s")
	b.ReportMetric(450, "findings/image")
}
