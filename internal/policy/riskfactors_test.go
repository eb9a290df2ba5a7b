package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestFindingFactors(t *testing.T) {
	type f = tidewaiter.RiskFactor
	old := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		finding tidewaiter.Finding
		details *tidewaiter.Vulnerability
		want    []f
	}{
		{"nothing known", tidewaiter.Finding{}, nil, nil},
		{"severity and fix", tidewaiter.Finding{Severity: tidewaiter.SeverityCritical, FixedIn: "1"}, nil, []f{"Critical severity", "Has fix"}},
		{"medium", tidewaiter.Finding{Severity: tidewaiter.SeverityMedium}, nil, []f{"Medium severity"}},
		{"low is no factor", tidewaiter.Finding{Severity: tidewaiter.SeverityLow}, nil, nil},
		{"network, easy", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
			[]f{"Attack complexity: low", "Attack vector: network"}},
		{"v4", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Vector: "CVSS:4.0/AV:N/AC:H/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N/E:A"},
			[]f{"DoS - High", "Exploit exists - in the wild", "Attack vector: network"}},
		{"v2", tidewaiter.Finding{}, &tidewaiter.Vulnerability{VectorV2: "(AV:N/AC:M/Au:N/C:N/I:N/A:P/E:POC)"},
			[]f{"DoS - Low", "Exploit exists - POC", "Attack vector: network"}},
		{"dos by the vector", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Vector: "CVSS:3.1/AV:L/AC:H/C:N/I:N/A:H"}, []f{"DoS - High"}},
		{"dos, low", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Vector: "CVSS:3.1/AV:L/AC:H/C:N/I:N/A:L"}, []f{"DoS - Low"}},
		{"dos by words", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Description: "Denial of service in x"}, []f{"DoS - Low"}},
		{"dos by words, vector says how much", tidewaiter.Finding{},
			&tidewaiter.Vulnerability{Description: "may cause a denial of service", Vector: "CVSS:3.1/AV:L/AC:H/C:L/I:N/A:H"}, []f{"DoS - High"}},
		{"remote code, from the network", tidewaiter.Finding{},
			&tidewaiter.Vulnerability{Description: "allows to execute arbitrary code", Vector: "CVSS:3.1/AV:N/AC:H/C:H/I:H/A:H"},
			[]f{"Remote execution", "Attack vector: network"}},
		{"code, local", tidewaiter.Finding{},
			&tidewaiter.Vulnerability{Description: "Remote attackers execute arbitrary code", Vector: "CVSS:3.1/AV:L/AC:H/C:H/I:H/A:H"}, nil},
		{"remote code by words", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Description: "Remote code execution"}, []f{"Remote execution"}},
		{"code by words", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Description: "Arbitrary code may run"}, nil},
		{"recent by date", tidewaiter.Finding{Vulnerability: "CVE-2019-1"}, &tidewaiter.Vulnerability{Published: now.AddDate(-1, 0, 0)}, []f{"Recent vulnerability"}},
		{"old by date", tidewaiter.Finding{Vulnerability: "CVE-2026-1"}, &tidewaiter.Vulnerability{Published: old}, nil},
		{"recent by id", tidewaiter.Finding{Vulnerability: "CVE-2025-1"}, nil, []f{"Recent vulnerability"}},
		{"old by id", tidewaiter.Finding{Vulnerability: "CVE-2024-1"}, nil, nil},
		{"no year in the id", tidewaiter.Finding{Vulnerability: "CVE-20x5-1"}, nil, nil},
		{"exploits by reference", tidewaiter.Finding{},
			&tidewaiter.Vulnerability{References: []string{"https://a", "https://www.exploit-db.com/exploits/1", "https://www.cisa.gov/known-exploited-vulnerabilities-catalog?x"}},
			[]f{"Exploit exists - in the wild", "Exploit exists - POC"}},
		{"exploit by words", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Description: "The exploit has been disclosed to the public"}, []f{"Exploit exists - POC"}},
		{"vector is rubbish", tidewaiter.Finding{}, &tidewaiter.Vulnerability{Vector: "CVSS:3.1/AV:/::/AC/A:"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.details != nil && test.details.Published.IsZero() {
				test.details.Published = old
			}
			got := policy.FindingFactors(&policy.Finding{Finding: test.finding, Details: test.details}, now)
			if diff := cmp.Diff(test.want, got.List()); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := policy.FindingFactors(&policy.Finding{Exploited: true}, now); !got.Has(tidewaiter.RiskExploitWild) || got.Has(tidewaiter.RiskRoot) {
		t.Errorf("known to be exploited: %v", got.List())
	}
}

func TestImageFactors(t *testing.T) {
	type f = tidewaiter.RiskFactor
	tests := []struct {
		name    string
		config  *tidewaiter.ImageConfig
		content *tidewaiter.Content
		want    []f
	}{
		{"nothing known", nil, nil, nil},
		{"no user is root", &tidewaiter.ImageConfig{}, nil, []f{"Container is running as root"}},
		{"root by number", &tidewaiter.ImageConfig{User: "0:10"}, nil, []f{"Container is running as root"}},
		{"root by name", &tidewaiter.ImageConfig{User: "root"}, nil, []f{"Container is running as root"}},
		{"not root", &tidewaiter.ImageConfig{User: "10:0"}, nil, nil},
		{"ports", &tidewaiter.ImageConfig{User: "app", ExposedPorts: []string{"80/tcp"}}, nil, []f{"Listening ports"}},
		{"secrets", nil, &tidewaiter.Content{Secrets: []tidewaiter.Secret{{}}}, []f{"Sensitive information"}},
		{"no secrets", nil, &tidewaiter.Content{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, policy.ImageFactors(test.config, test.content).List()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRiskFactorsOfTheOutcome(t *testing.T) {
	r := rule(func(r *tidewaiter.Rule) {
		r.Alert = at(tidewaiter.SeverityHigh)
		r.RiskFactors = []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskRoot, Effect: tidewaiter.EffectBlock}}
	})
	in := input(r, finding(nil))
	in.Config = &tidewaiter.ImageConfig{}
	o := policy.Evaluate(in)
	if o.Verdict.Effect != tidewaiter.EffectBlock || o.Verdict.Reasons[0].Why != "risk factor: Container is running as root" {
		t.Errorf("the image's own factors do not count: %+v", o.Verdict)
	}
	want := []tidewaiter.RiskFactor{"High severity", "Has fix", "Attack complexity: low", "Attack vector: network", "Container is running as root"}
	if diff := cmp.Diff(want, o.RiskFactors); diff != "" {
		t.Error(diff)
	}
	r.RiskFactors = nil
	r.Alert = at(tidewaiter.SeverityCritical)
	if got := policy.Evaluate(input(r, finding(nil))).RiskFactors; got != nil {
		t.Errorf("factors of an ignored finding: %v", got)
	}
}

func TestPackageType(t *testing.T) {
	tests := map[tidewaiter.Ecosystem]string{
		tidewaiter.EcosystemDeb: "package", tidewaiter.EcosystemAPK: "package", tidewaiter.EcosystemRPM: "package",
		tidewaiter.EcosystemNPM: "nodejs", tidewaiter.EcosystemPyPI: "python", tidewaiter.EcosystemConda: "python",
		tidewaiter.EcosystemGem: "gem", tidewaiter.EcosystemMaven: "jar", tidewaiter.EcosystemGo: "go",
		tidewaiter.EcosystemNuGet: "nuget", tidewaiter.EcosystemBitnami: "app", tidewaiter.EcosystemSwift: "unknown", "": "unknown",
	}
	for e, want := range tests {
		if got := policy.PackageType(&tidewaiter.Package{Ecosystem: e}); got != want {
			t.Errorf("%s is %s, want %s", e, got, want)
		}
	}
}

func TestSeverity(t *testing.T) {
	type details = tidewaiter.Vulnerability
	tests := []struct {
		own     tidewaiter.Severity
		details *details
		want    tidewaiter.Severity
	}{
		{tidewaiter.SeverityLow, &details{Severity: tidewaiter.SeverityHigh}, tidewaiter.SeverityLow},
		{tidewaiter.SeverityNegligible, &details{Score: 9.8}, tidewaiter.SeverityNegligible},
		{tidewaiter.SeverityUnknown, &details{Severity: tidewaiter.SeverityHigh, Score: 3}, tidewaiter.SeverityHigh},
		{tidewaiter.SeverityUnknown, &details{Score: 9.8, ScoreV2: 1}, tidewaiter.SeverityCritical},
		{tidewaiter.SeverityUnknown, &details{ScoreV2: 5}, tidewaiter.SeverityMedium},
		{tidewaiter.SeverityUnknown, nil, tidewaiter.SeverityUnknown},
	}
	for _, test := range tests {
		f := policy.Finding{Finding: tidewaiter.Finding{Severity: test.own}, Details: test.details}
		if got := policy.EffectiveSeverity(&f); got != test.want {
			t.Errorf("%s with %+v is %s, want %s", test.own, test.details, got, test.want)
		}
	}
	for s, want := range map[tidewaiter.Severity]tidewaiter.Severity{
		tidewaiter.SeverityUnknown: tidewaiter.SeverityLow, tidewaiter.SeverityNegligible: tidewaiter.SeverityLow,
		tidewaiter.SeverityLow: tidewaiter.SeverityLow, tidewaiter.SeverityHigh: tidewaiter.SeverityHigh,
	} {
		if got := policy.Normalize(s); got != want {
			t.Errorf("%s normalised is %s, want %s", s, got, want)
		}
	}
}
