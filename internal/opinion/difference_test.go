package opinion

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// resultOf is a result with packages and, by package, findings.
func resultOf(packages []tidewaiter.Package, findings map[int64][]tidewaiter.Finding) *tidewaiter.Result {
	r := &tidewaiter.Result{Content: &tidewaiter.Content{}, Findings: findings, Vulnerabilities: map[string]*tidewaiter.Vulnerability{}}
	for i := range packages {
		packages[i].ID = int64(i + 1)
		r.Content.Installed = append(r.Content.Installed, tidewaiter.Installed{Package: &packages[i]})
	}
	return r
}

func (d Difference) String() string {
	var out []string
	for _, p := range d.Both {
		out = append(out, "both "+p.Ours.Vulnerability+" "+p.Ours.Package)
	}
	for _, p := range d.Differing {
		out = append(out, fmt.Sprintf("differ %s %s severity %t fix %t", p.Ours.Vulnerability, p.Ours.Package, p.Severity, p.Fix))
	}
	for _, o := range d.OnlyOurs {
		out = append(out, "ours "+o.Vulnerability+" "+o.Package)
	}
	for _, o := range d.OnlyTheirs {
		out = append(out, "theirs "+o.Vulnerability+" "+o.Package)
	}
	return strings.Join(out, "; ")
}

func TestCompare(t *testing.T) {
	const high, low = tidewaiter.SeverityHigh, tidewaiter.SeverityLow
	ssl := tidewaiter.Package{Name: "libssl3", Version: "3.0.1", Release: "1", Source: "openssl", SourceVer: "3.0.1", SourceRel: "1"}
	crypto := ssl
	crypto.Name = "libcrypto3"
	ours := func(p tidewaiter.Package, f ...tidewaiter.Finding) *tidewaiter.Result {
		return resultOf([]tidewaiter.Package{p}, map[int64][]tidewaiter.Finding{1: f})
	}
	plain := tidewaiter.Package{Name: "left-pad", Version: "1.0.0"}
	cve := tidewaiter.Finding{Vulnerability: "CVE-2024-1001", Severity: high, FixedIn: "1.0.1", Advisories: []string{"GHSA-aaaa-bbbb-cccc"}}
	ghsa := tidewaiter.Finding{Vulnerability: "GHSA-aaaa-bbbb-cccc", Severity: high, FixedIn: "1.0.1"}
	named := ours(plain, ghsa)
	named.Vulnerabilities[ghsa.Vulnerability] = &tidewaiter.Vulnerability{References: []string{"https://x", "https://nvd.nist.gov/vuln/detail/CVE-2024-1001"}}
	for name, c := range map[string]struct {
		ours   *tidewaiter.Result
		theirs []tidewaiter.OpinionFinding
		want   string
	}{
		"nothing":           {ours(plain), nil, ""},
		"the same":          {ours(plain, cve), []tidewaiter.OpinionFinding{{Vulnerability: "cve-2024-1001", Package: "Left_Pad", Version: "v1.0.0", FixedIn: "1.0.1", Severity: high}}, "both CVE-2024-1001 left-pad"},
		"by their alias":    {ours(plain, cve), []tidewaiter.OpinionFinding{{Vulnerability: "GHSA-zzzz", Alias: "CVE-2024-1001", Package: "left-pad", Version: "1.0.0", FixedIn: "1.0.1", Severity: high}}, "both CVE-2024-1001 left-pad"},
		"by our advisory":   {ours(plain, cve), []tidewaiter.OpinionFinding{{Vulnerability: "GHSA-aaaa-bbbb-cccc", Package: "left-pad", Version: "1.0.0", FixedIn: "1.0.1", Severity: high}}, "both CVE-2024-1001 left-pad"},
		"by our references": {named, []tidewaiter.OpinionFinding{{Vulnerability: "CVE-2024-1001", Package: "left-pad", Version: "1.0.0", FixedIn: "1.0.1", Severity: high}}, "both GHSA-aaaa-bbbb-cccc left-pad"},
		"other fix":         {ours(plain, cve), []tidewaiter.OpinionFinding{{Vulnerability: "CVE-2024-1001", Package: "left-pad", Version: "1.0.0", Severity: high}}, "differ CVE-2024-1001 left-pad severity false fix true"},
		"other severity":    {ours(plain, cve), []tidewaiter.OpinionFinding{{Vulnerability: "CVE-2024-1001", Package: "left-pad", Version: "1.0.0", FixedIn: " v1.0.1", Severity: low}}, "differ CVE-2024-1001 left-pad severity true fix false"},
		"other version":     {ours(plain, cve), []tidewaiter.OpinionFinding{{Vulnerability: "CVE-2024-1001", Package: "left-pad", Version: "1.0.2"}}, "ours CVE-2024-1001 left-pad; theirs CVE-2024-1001 left-pad"},
		"twice under two names": {ours(plain, cve), []tidewaiter.OpinionFinding{
			{Vulnerability: "CVE-2024-1001", Package: "left-pad", Version: "1.0.0", FixedIn: "1.0.1", Severity: high},
			{Vulnerability: "GHSA-aaaa-bbbb-cccc", Package: "left-pad", Version: "1.0.0", FixedIn: "1.0.1", Severity: high}}, "both CVE-2024-1001 left-pad"},
		"by source package": {resultOf([]tidewaiter.Package{ssl, crypto}, map[int64][]tidewaiter.Finding{1: {cve}, 2: {cve}}),
			[]tidewaiter.OpinionFinding{{Vulnerability: "CVE-2024-1001", Package: "openssl", Version: "0:3.0.1-1", FixedIn: "1.0.1", Severity: high}},
			"both CVE-2024-1001 libcrypto3; both CVE-2024-1001 libssl3"},
		"no content": {&tidewaiter.Result{}, []tidewaiter.OpinionFinding{{Vulnerability: "CVE-1", Package: "a"}}, "theirs CVE-1 a"},
	} {
		if got := Compare(c.ours, c.theirs).String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if !sameFix("1.2, v2.0", "2.0|1.2") || sameFix("1", "") || !sameFix("", "") {
		t.Error("lists of fixes")
	}
}
