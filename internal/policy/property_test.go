package policy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var (
	effects   = rapid.SampledFrom([]tidewaiter.Effect{tidewaiter.EffectIgnore, tidewaiter.EffectAlert, tidewaiter.EffectBlock})
	ids       = rapid.SampledFrom([]string{"CVE-2026-1", "CVE-2020-2", "cve-2020-2", "GHSA-3", "CVE-2025-4"})
	tags      = rapid.SampledFrom([]string{"a", "b"})
	threshold = rapid.Custom(func(t *rapid.T) tidewaiter.Threshold {
		return tidewaiter.Threshold{Enabled: rapid.Bool().Draw(t, "enabled"), Severity: severity.Draw(t, "severity")}
	})
	severity = rapid.Custom(func(t *rapid.T) tidewaiter.Severity { return tidewaiter.Severity(rapid.IntRange(0, 5).Draw(t, "n")) })
	factor   = rapid.SampledFrom([]tidewaiter.RiskFactor{tidewaiter.RiskHigh, tidewaiter.RiskHasFix, tidewaiter.RiskRecent, tidewaiter.RiskRoot})

	anException = rapid.Custom(func(t *rapid.T) tidewaiter.Exception {
		e := tidewaiter.Exception{Effect: effects.Draw(t, "effect")}
		if rapid.Bool().Draw(t, "by tag") {
			e.Tag = tags.Draw(t, "tag")
		} else {
			e.Vulnerability = ids.Draw(t, "id")
		}
		if rapid.Bool().Draw(t, "expires") {
			e.Expires = day(rapid.IntRange(-2, 2).Draw(t, "days"))
		}
		return e
	})
	aRule = rapid.Custom(func(t *rapid.T) tidewaiter.Rule {
		r := tidewaiter.Rule{
			Name: "r", Collections: []string{"All"}, Alert: threshold.Draw(t, "alert"), Block: threshold.Draw(t, "block"),
			OnlyFixed: rapid.Bool().Draw(t, "onlyFixed"), ExcludeBase: rapid.Bool().Draw(t, "excludeBase"),
			Exceptions: rapid.SliceOfN(anException, 0, 4).Draw(t, "exceptions"),
			Grace:      tidewaiter.Grace{Days: rapid.IntRange(0, 20).Draw(t, "grace")},
		}
		for range rapid.IntRange(0, 2).Draw(t, "factors") {
			r.RiskFactors = append(r.RiskFactors, tidewaiter.RiskFactorRule{Factor: factor.Draw(t, "factor"), Effect: effects.Draw(t, "effect")})
		}
		if rapid.Bool().Draw(t, "by type") {
			r.Ecosystems = []tidewaiter.EcosystemRule{{Type: "nodejs", Alert: threshold.Draw(t, "alert"), Block: threshold.Draw(t, "block")}}
		}
		return r
	})
	aFinding = rapid.Custom(func(t *rapid.T) policy.Finding {
		f := policy.Finding{
			Finding:    tidewaiter.Finding{Vulnerability: ids.Draw(t, "id"), Severity: severity.Draw(t, "severity")},
			Package:    &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")},
			Details:    &tidewaiter.Vulnerability{Score: float64(rapid.IntRange(0, 10).Draw(t, "score"))},
			FirstFound: day(-rapid.IntRange(0, 30).Draw(t, "age")),
			Base:       rapid.Bool().Draw(t, "base"),
			Tags:       rapid.SliceOfN(tags, 0, 2).Draw(t, "tags"),
		}
		if rapid.Bool().Draw(t, "os") {
			f.Package.Ecosystem = tidewaiter.EcosystemDeb
		}
		if rapid.Bool().Draw(t, "fixed") {
			f.FixedIn = "2"
		}
		return f
	})
	manyFindings = rapid.SliceOfN(aFinding, 0, 25)
)

func strength(e tidewaiter.Effect) int {
	return map[tidewaiter.Effect]int{tidewaiter.EffectAlert: 1, tidewaiter.EffectBlock: 2}[e]
}

// noStronger fails when an effect of b is stronger than the same one of a.
func noStronger(t *rapid.T, a, b policy.Outcome) {
	for i := range a.Findings {
		if strength(b.Findings[i].Effect) > strength(a.Findings[i].Effect) {
			t.Fatalf("finding %d went from %s to %s", i, a.Findings[i].Effect, b.Findings[i].Effect)
		}
	}
	if strength(b.Verdict.Effect) > strength(a.Verdict.Effect) || b.Verdict.Blocks > a.Verdict.Blocks {
		t.Fatalf("the verdict went from %+v to %+v", a.Verdict, b.Verdict)
	}
}

func TestStricterThresholdNeverWeakens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stricter := aRule.Draw(t, "rule")
		findings := manyFindings.Draw(t, "findings")
		looser := stricter
		if rapid.Bool().Draw(t, "change block") {
			stricter.Block.Enabled = true
			looser.Block.Severity = max(looser.Block.Severity, severity.Draw(t, "looser"))
		}
		if rapid.Bool().Draw(t, "change alert") {
			stricter.Alert.Enabled = true
			looser.Alert.Severity = max(looser.Alert.Severity, severity.Draw(t, "looser"))
		}
		noStronger(t, policy.Evaluate(input(stricter, findings...)), policy.Evaluate(input(looser, findings...)))
	})
}

func TestIgnoringNeverStrengthens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := aRule.Draw(t, "rule")
		findings := manyFindings.Draw(t, "findings")
		e := anException.Draw(t, "exception")
		e.Effect = tidewaiter.EffectIgnore
		after := before
		at := rapid.IntRange(0, len(before.Exceptions)).Draw(t, "at")
		after.Exceptions = append(append(append([]tidewaiter.Exception(nil), before.Exceptions[:at]...), e), before.Exceptions[at:]...)
		noStronger(t, policy.Evaluate(input(before, findings...)), policy.Evaluate(input(after, findings...)))
	})
}

func TestOrderOfFindingsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := aRule.Draw(t, "rule")
		findings := manyFindings.Draw(t, "findings")
		a := policy.Evaluate(input(r, findings...))
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(findings), func(i, j int) { findings[i], findings[j] = findings[j], findings[i] })
		b := policy.Evaluate(input(r, findings...))
		if diff := cmp.Diff(a.Verdict, b.Verdict); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(a.RiskFactors, b.RiskFactors); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzDetails holds that whatever a feed says is judged without a panic.
func FuzzDetails(f *testing.F) {
	f.Add("CVE-2026-1", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "Denial of service", "https://www.exploit-db.com/1")
	f.Add("CVE-", "(AV:N/AC:L/Au:N/C:P/I:P/A:P)", "", "")
	f.Add("", "/:/", "DoS", ":")
	f.Fuzz(func(t *testing.T, id, vector, text, ref string) {
		in := policy.Finding{Finding: tidewaiter.Finding{Vulnerability: id}, Details: &tidewaiter.Vulnerability{
			Vector: vector, Description: text, References: []string{ref}}}
		o := policy.Evaluate(input(rule(nil), in))
		if o.Verdict.Alerts != 1 {
			t.Errorf("%+v", o.Verdict)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	text := "A flaw was found in the way the parser handles nested input. " +
		"An attacker who can supply a crafted document may cause an out-of-bounds read, which leads to a crash of the process " +
		"or, in some configurations, to disclosure of memory. Versions before the one named in the advisory are affected; " +
		"there is no workaround short of turning the feature off in the configuration."
	findings := make([]policy.Finding, 461)
	for i := range findings {
		findings[i] = finding(func(f *policy.Finding) {
			f.Vulnerability = fmt.Sprintf("CVE-20%d-%04d", 18+i%8, i)
			f.Severity = tidewaiter.Severity(i % 6)
			f.Details = &tidewaiter.Vulnerability{Score: float64(i % 10), Description: text, Published: day(-i),
				Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", References: []string{"https://a.example/1", "https://b.example/2", "https://c.example/3"}}
		})
	}
	r := rule(func(r *tidewaiter.Rule) {
		r.Block, r.Grace.Days, r.OnlyFixed = at(tidewaiter.SeverityHigh), 30, true
		for i := range 50 {
			r.Exceptions = append(r.Exceptions, tidewaiter.Exception{Vulnerability: fmt.Sprintf("CVE-2020-%04d", i), Effect: tidewaiter.EffectIgnore})
		}
		r.RiskFactors = []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskExploitWild, Effect: tidewaiter.EffectBlock}}
	})
	in := input(r, findings...)
	b.ReportAllocs()
	for b.Loop() {
		policy.Evaluate(in)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
