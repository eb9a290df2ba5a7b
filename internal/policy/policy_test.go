package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

const name = "registry.example.com/team/app:1.0"

func day(n int) time.Time { return now.AddDate(0, 0, n) }

func at(s tidewaiter.Severity) tidewaiter.Threshold {
	return tidewaiter.Threshold{Enabled: true, Severity: s}
}

func collections() map[string]tidewaiter.Collection {
	_, list := policy.Defaults()
	out := map[string]tidewaiter.Collection{
		"team":    {Name: "team", Images: []string{"team/*"}},
		"host":    {Name: "host", Images: []string{"registry.example.com/*"}},
		"other":   {Name: "other", Images: []string{"other/*"}},
		"empty":   {Name: "empty"},
		"labeled": {Name: "labeled", Images: []string{"*"}, Labels: []string{"tier:prod*"}},
	}
	for _, c := range list {
		out[c.Name] = c
	}
	return out
}

// finding is a high one in an npm package, found 10 days ago, with a fix.
func finding(change func(*policy.Finding)) policy.Finding {
	f := policy.Finding{
		Finding: tidewaiter.Finding{Vulnerability: "CVE-2021-0001", Severity: tidewaiter.SeverityHigh, FixedIn: "2.0"},
		Package: &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Name: "left", Version: "1.0"},
		Details: &tidewaiter.Vulnerability{Score: 7.5, Published: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
			Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"},
		FirstFound: day(-10),
	}
	if change != nil {
		change(&f)
	}
	return f
}

func rule(change func(*tidewaiter.Rule)) tidewaiter.Rule {
	r := tidewaiter.Rule{Name: "r", Collections: []string{"All"}, Alert: at(tidewaiter.SeverityUnknown)}
	if change != nil {
		change(&r)
	}
	return r
}

func input(r tidewaiter.Rule, findings ...policy.Finding) policy.Input {
	return policy.Input{
		Vulnerability: &tidewaiter.Policy{Rules: []tidewaiter.Rule{r}},
		Collections:   collections(), Names: []string{name}, Findings: findings, Now: now,
		Config: &tidewaiter.ImageConfig{User: "app"},
	}
}

func TestVulnerabilityRules(t *testing.T) {
	const (
		ignore, alert, block = tidewaiter.EffectIgnore, tidewaiter.EffectAlert, tidewaiter.EffectBlock
	)
	blockHigh := func(r *tidewaiter.Rule) { r.Block = at(tidewaiter.SeverityHigh) }
	with := func(changes ...func(*tidewaiter.Rule)) tidewaiter.Rule {
		return rule(func(r *tidewaiter.Rule) {
			for _, c := range changes {
				c(r)
			}
		})
	}
	exception := func(es ...tidewaiter.Exception) func(*tidewaiter.Rule) {
		return func(r *tidewaiter.Rule) { r.Exceptions = append(r.Exceptions, es...) }
	}
	grace := func(days int) func(*tidewaiter.Rule) { return func(r *tidewaiter.Rule) { r.Grace.Days = days } }
	risk := func(f tidewaiter.RiskFactor, e tidewaiter.Effect) func(*tidewaiter.Rule) {
		return func(r *tidewaiter.Rule) {
			r.RiskFactors = append(r.RiskFactors, tidewaiter.RiskFactorRule{Factor: f, Effect: e})
		}
	}
	onlyFixed := func(r *tidewaiter.Rule) { r.OnlyFixed = true }
	unfixed := finding(func(f *policy.Finding) { f.FixedIn = "" })
	based := finding(func(f *policy.Finding) { f.Base = true })
	tagged := finding(func(f *policy.Finding) { f.Tags = []string{"Accepted"} })

	tests := []struct {
		name    string
		rule    tidewaiter.Rule
		finding policy.Finding
		effect  tidewaiter.Effect
		cause   policy.Cause
		grace   int
	}{
		{"alert threshold off alerts on everything", rule(nil),
			finding(func(f *policy.Finding) { f.Severity, f.Details = tidewaiter.SeverityUnknown, nil }), alert, policy.CauseThreshold, 0},
		{"alerts disabled", with(func(r *tidewaiter.Rule) { r.Alert.Enabled = false }), finding(nil), ignore, policy.CauseBelow, 0},
		{"below the alert threshold", with(func(r *tidewaiter.Rule) { r.Alert = at(tidewaiter.SeverityCritical) }), finding(nil), ignore, policy.CauseBelow, 0},
		{"at the alert threshold", with(func(r *tidewaiter.Rule) { r.Alert = at(tidewaiter.SeverityHigh) }), finding(nil), alert, policy.CauseThreshold, 0},
		{"at the block threshold", with(blockHigh), finding(nil), block, policy.CauseThreshold, 0},
		{"below the block threshold", with(func(r *tidewaiter.Rule) { r.Block = at(tidewaiter.SeverityCritical) }), finding(nil), alert, policy.CauseThreshold, 0},
		{"block threshold not enabled", with(func(r *tidewaiter.Rule) { r.Block.Severity = tidewaiter.SeverityLow }), finding(nil), alert, policy.CauseThreshold, 0},
		{"blocks with alerts disabled", with(blockHigh, func(r *tidewaiter.Rule) { r.Alert.Enabled = false }), finding(nil), block, policy.CauseThreshold, 0},
		{"severity from the score", with(blockHigh), finding(func(f *policy.Finding) { f.Severity = tidewaiter.SeverityUnknown }), block, policy.CauseThreshold, 0},
		{"only fixed, no fix", with(blockHigh, onlyFixed), unfixed, ignore, policy.CauseUnfixed, 0},
		{"only fixed, fix", with(blockHigh, onlyFixed), finding(nil), block, policy.CauseThreshold, 0},
		{"exception beats only fixed", with(onlyFixed, exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block})), unfixed, block, policy.CauseException, 0},
		{"base image left out", with(blockHigh, func(r *tidewaiter.Rule) { r.ExcludeBase = true }), based, ignore, policy.CauseBase, 0},
		{"base image left out before exceptions", with(func(r *tidewaiter.Rule) { r.ExcludeBase = true },
			exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block})), based, ignore, policy.CauseBase, 0},
		{"base image not left out", with(blockHigh), based, block, policy.CauseThreshold, 0},

		{"grace from first found", with(blockHigh, grace(30)), finding(nil), alert, policy.CauseThreshold, 20},
		{"grace from the fix date", with(blockHigh, grace(30)), finding(func(f *policy.Finding) { f.FixedAt = day(-25) }), alert, policy.CauseThreshold, 5},
		{"grace over", with(blockHigh, grace(10)), finding(nil), block, policy.CauseThreshold, 0},
		{"grace, part of a day left", with(blockHigh, grace(10)), finding(func(f *policy.Finding) { f.FirstFound = day(-10).Add(time.Second) }), alert, policy.CauseThreshold, 1},
		{"grace of a finding never seen before", with(blockHigh, grace(10)), finding(func(f *policy.Finding) { f.FirstFound = time.Time{} }), alert, policy.CauseThreshold, 10},
		{"grace never exceeds its days", with(blockHigh, grace(10)), finding(func(f *policy.Finding) { f.FirstFound = day(5) }), alert, policy.CauseThreshold, 10},
		{"grace by severity", with(blockHigh, grace(5), func(r *tidewaiter.Rule) {
			r.Grace.BySeverity = map[tidewaiter.Severity]int{tidewaiter.SeverityHigh: 12}
		}), finding(nil), alert, policy.CauseThreshold, 2},
		{"grace by severity says nothing", with(blockHigh, grace(99), func(r *tidewaiter.Rule) { r.Grace.BySeverity = map[tidewaiter.Severity]int{tidewaiter.SeverityLow: 12} }), finding(nil), block, policy.CauseThreshold, 0},
		{"grace does not touch alerts", with(grace(30)), finding(nil), alert, policy.CauseThreshold, 0},

		{"exception ignores, any case", with(blockHigh, exception(tidewaiter.Exception{Vulnerability: "cve-2021-0001", Effect: ignore})), finding(nil), ignore, policy.CauseException, 0},
		{"exception alerts", with(blockHigh, exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: alert})), finding(nil), alert, policy.CauseException, 0},
		{"exception blocks", with(exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block})), finding(nil), block, policy.CauseException, 0},
		{"exception blocks after grace", with(grace(30), exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block})), finding(nil), alert, policy.CauseException, 20},
		{"exception for another", with(blockHigh, exception(tidewaiter.Exception{Vulnerability: "CVE-2021-00011", Effect: ignore})), finding(nil), block, policy.CauseThreshold, 0},
		{"exception expired", with(blockHigh, exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: ignore, Expires: now})), finding(nil), block, policy.CauseThreshold, 0},
		{"exception not yet expired", with(blockHigh, exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: ignore, Expires: day(1)})), finding(nil), ignore, policy.CauseException, 0},
		{"first exception counts", with(exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block}, tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: ignore})), finding(nil), block, policy.CauseException, 0},
		{"expired one is passed over", with(exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block, Expires: day(-1)}, tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: ignore})), finding(nil), ignore, policy.CauseException, 0},
		{"tag exception", with(blockHigh, exception(tidewaiter.Exception{Tag: "accepted", Effect: ignore})), tagged, ignore, policy.CauseException, 0},
		{"tag exception, not tagged", with(blockHigh, exception(tidewaiter.Exception{Tag: "accepted", Effect: ignore})), finding(nil), block, policy.CauseThreshold, 0},
		{"vulnerability before tag", with(exception(tidewaiter.Exception{Tag: "accepted", Effect: ignore}, tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: block})), tagged, block, policy.CauseException, 0},

		{"risk factor blocks", with(risk(tidewaiter.RiskNetwork, block)), finding(nil), block, policy.CauseRiskFactor, 0},
		{"risk factor, strongest", with(risk(tidewaiter.RiskNetwork, alert), risk(tidewaiter.RiskHasFix, block)), finding(nil), block, policy.CauseRiskFactor, 0},
		{"risk factor alerts below the threshold", with(func(r *tidewaiter.Rule) { r.Alert = at(tidewaiter.SeverityCritical) }, risk(tidewaiter.RiskHigh, alert)), finding(nil), alert, policy.CauseRiskFactor, 0},
		{"risk factor never weakens", with(blockHigh, risk(tidewaiter.RiskHigh, alert)), finding(nil), block, policy.CauseThreshold, 0},
		{"risk factor absent", with(risk(tidewaiter.RiskExploitWild, block)), finding(nil), alert, policy.CauseThreshold, 0},
		{"risk factor is not postponed", with(blockHigh, grace(30), risk(tidewaiter.RiskHigh, block)), finding(nil), block, policy.CauseRiskFactor, 0},
		{"exception beats risk factor", with(risk(tidewaiter.RiskHigh, block), exception(tidewaiter.Exception{Vulnerability: "CVE-2021-0001", Effect: ignore})), finding(nil), ignore, policy.CauseException, 0},
		{"only fixed beats risk factor", with(onlyFixed, risk(tidewaiter.RiskHigh, block)), unfixed, ignore, policy.CauseUnfixed, 0},

		{"thresholds of the package's type", with(blockHigh, func(r *tidewaiter.Rule) {
			r.Ecosystems = []tidewaiter.EcosystemRule{{Type: "nodejs", Alert: at(tidewaiter.SeverityCritical)}}
		}), finding(nil), ignore, policy.CauseBelow, 0},
		{"thresholds of another type", with(blockHigh, func(r *tidewaiter.Rule) {
			r.Ecosystems = []tidewaiter.EcosystemRule{{Type: "jar", Alert: at(tidewaiter.SeverityCritical)}}
		}), finding(nil), block, policy.CauseThreshold, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := policy.Evaluate(input(test.rule, test.finding))
			got := o.Findings[0]
			if got.Effect != test.effect || got.Cause != test.cause || got.GraceDays != test.grace {
				t.Errorf("got %s %s, %d days left; want %s %s, %d days left", got.Effect, got.Cause, got.GraceDays, test.effect, test.cause, test.grace)
			}
			if got.Rule != "r" {
				t.Errorf("rule is %q", got.Rule)
			}
			if o.Verdict.Effect != test.effect {
				t.Errorf("verdict is %s, want %s", o.Verdict.Effect, test.effect)
			}
			if n := len(o.Verdict.Reasons); (n == 1) != (test.effect != ignore) {
				t.Errorf("%d reasons", n)
			}
		})
	}
}

func TestFirstCoveringRuleDecides(t *testing.T) {
	named := func(n string, disabled bool, collections ...string) tidewaiter.Rule {
		return tidewaiter.Rule{Name: n, Disabled: disabled, Collections: collections, Alert: at(tidewaiter.SeverityUnknown)}
	}
	tests := []struct {
		name   string
		names  []string
		labels map[string]string
		rules  []tidewaiter.Rule
		want   string
	}{
		{"first wins", []string{name}, nil, []tidewaiter.Rule{named("a", false, "All"), named("b", false, "All")}, "a"},
		{"disabled is passed over", []string{name}, nil, []tidewaiter.Rule{named("a", true, "All"), named("b", false, "All")}, "b"},
		{"not covering is passed over", []string{name}, nil, []tidewaiter.Rule{named("a", false, "other"), named("b", false, "All")}, "b"},
		{"any collection will do", []string{name}, nil, []tidewaiter.Rule{named("a", false, "other", "team")}, "a"},
		{"with the host", []string{name}, nil, []tidewaiter.Rule{named("a", false, "host")}, "a"},
		{"without the host", []string{name}, nil, []tidewaiter.Rule{named("a", false, "team")}, "a"},
		{"any name", []string{name, "h/other/x:1"}, nil, []tidewaiter.Rule{named("a", false, "other")}, "a"},
		{"unknown collection", []string{name}, nil, []tidewaiter.Rule{named("a", false, "nonesuch")}, ""},
		{"collection without images", []string{name}, nil, []tidewaiter.Rule{named("a", false, "empty")}, ""},
		{"no names", nil, nil, []tidewaiter.Rule{named("a", false, "All")}, ""},
		{"label", []string{name}, map[string]string{"tier": "production"}, []tidewaiter.Rule{named("a", false, "labeled")}, "a"},
		{"other label", []string{name}, map[string]string{"tier": "test"}, []tidewaiter.Rule{named("a", false, "labeled")}, ""},
		{"no label", []string{name}, nil, []tidewaiter.Rule{named("a", false, "labeled")}, ""},
		{"no rules", []string{name}, nil, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := policy.Evaluate(policy.Input{Vulnerability: &tidewaiter.Policy{Rules: test.rules}, Collections: collections(),
				Names: test.names, Labels: test.labels, Findings: []policy.Finding{finding(nil)}, Now: now})
			got := o.Findings[0]
			if got.Rule != test.want {
				t.Errorf("rule %q decided, want %q", got.Rule, test.want)
			}
			if got.Effect != tidewaiter.EffectAlert || (got.Cause == policy.CauseNoRule) != (test.want == "") {
				t.Errorf("got %s %s", got.Effect, got.Cause)
			}
		})
	}
}

func TestCompliance(t *testing.T) {
	checks := []tidewaiter.Check{
		{ID: 41, Severity: tidewaiter.SeverityHigh, Title: "non-root user"},
		{ID: 406, Severity: tidewaiter.SeverityMedium, Title: "healthcheck"},
		{ID: 425, Severity: tidewaiter.SeverityHigh, Passed: true},
		{ID: 424, Severity: tidewaiter.SeverityLow, Cause: "variable TOKEN"},
	}
	effects := func(o policy.Outcome) (out []tidewaiter.Effect) {
		for _, j := range o.Checks {
			out = append(out, j.Effect)
		}
		return out
	}
	in := policy.Input{Collections: collections(), Names: []string{name}, Checks: checks, Now: now}
	if diff := cmp.Diff([]tidewaiter.Effect{"alert", "alert", "ignore", "alert"}, effects(policy.Evaluate(in))); diff != "" {
		t.Errorf("without a rule: %s", diff)
	}
	in.Compliance = &tidewaiter.Policy{Rules: []tidewaiter.Rule{{Name: "c", Collections: []string{"All"},
		Checks: map[int]tidewaiter.CheckEffect{41: {Block: true}, 425: {Block: true}, 424: {MinSeverity: tidewaiter.SeverityMedium}}}}}
	o := policy.Evaluate(in)
	if diff := cmp.Diff([]tidewaiter.Effect{"block", "ignore", "ignore", "ignore"}, effects(o)); diff != "" {
		t.Errorf("with a rule: %s", diff)
	}
	want := tidewaiter.Verdict{Effect: "block", Rules: []string{"c"}, Blocks: 1, Reasons: []tidewaiter.VerdictReason{
		{Effect: "block", Rule: "c", Check: 41, Severity: tidewaiter.SeverityHigh, Why: "non-root user"}}}
	if diff := cmp.Diff(want, o.Verdict); diff != "" {
		t.Error(diff)
	}
}

func TestLicenses(t *testing.T) {
	r := rule(func(r *tidewaiter.Rule) {
		r.Licenses = tidewaiter.LicenseRule{
			Alert: at(tidewaiter.SeverityMedium), Block: at(tidewaiter.SeverityCritical),
			Severities: map[string]tidewaiter.Severity{"AGPL-3.0": tidewaiter.SeverityCritical, "GPL-3.0": tidewaiter.SeverityHigh,
				"MIT": tidewaiter.SeverityLow},
		}
	})
	tests := []struct {
		license string
		want    tidewaiter.Effect
	}{
		{"MIT", "ignore"}, {"agpl-3.0", "block"}, {"GPL-3.0", "alert"}, {"Apache-2.0", "ignore"}, {"", "ignore"},
		{"MIT OR AGPL-3.0", "ignore"}, {"GPL-3.0 OR AGPL-3.0", "alert"}, {"MIT AND AGPL-3.0", "block"},
		{"Apache-2.0 OR AGPL-3.0", "ignore"}, {"GPL-3.0 WITH Classpath-exception-2.0", "alert"},
		{"MIT AND (GPL-3.0 OR AGPL-3.0)", "block"},
	}
	for _, test := range tests {
		t.Run(test.license, func(t *testing.T) {
			in := input(r)
			p := &tidewaiter.Package{Name: "p", Version: "1", Licenses: []string{test.license}}
			in.Content = &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p}, {Package: p, Path: "again"}}}
			v := policy.Evaluate(in).Verdict
			if v.Effect != test.want {
				t.Errorf("got %s, want %s", v.Effect, test.want)
			}
			if v.Alerts+v.Blocks > 1 {
				t.Errorf("counted %d times", v.Alerts+v.Blocks)
			}
		})
	}
	t.Run("off", func(t *testing.T) {
		off := r
		off.Licenses.Alert, off.Licenses.Block = tidewaiter.Threshold{}, tidewaiter.Threshold{}
		in := input(off)
		in.Content = &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: &tidewaiter.Package{Licenses: []string{"AGPL-3.0"}}}}}
		if v := policy.Evaluate(in).Verdict; v.Effect != tidewaiter.EffectIgnore {
			t.Errorf("got %s", v.Effect)
		}
	})
}

func TestReasonsAreTheGravest(t *testing.T) {
	var findings []policy.Finding
	for i := range 30 {
		findings = append(findings, finding(func(f *policy.Finding) {
			f.Severity = tidewaiter.Severity(1 + i%5)
			f.Details = &tidewaiter.Vulnerability{Score: float64(i) / 3}
		}))
	}
	o := policy.Evaluate(input(rule(func(r *tidewaiter.Rule) { r.Block = at(tidewaiter.SeverityCritical) }), findings...))
	if o.Verdict.Alerts != 24 || o.Verdict.Blocks != 6 {
		t.Errorf("%d alerts, %d blocks", o.Verdict.Alerts, o.Verdict.Blocks)
	}
	if len(o.Verdict.Reasons) != tidewaiter.MaxVerdictReasons {
		t.Fatalf("%d reasons", len(o.Verdict.Reasons))
	}
	for i, r := range o.Verdict.Reasons {
		if want := tidewaiter.SeverityCritical; i < 6 && (r.Severity != want || r.Effect != tidewaiter.EffectBlock) {
			t.Errorf("reason %d is %s %s", i, r.Effect, r.Severity)
		}
		if want := tidewaiter.SeverityHigh; i >= 6 && r.Severity != want {
			t.Errorf("reason %d is %s", i, r.Severity)
		}
	}
	first := o.Verdict.Reasons[0]
	if first.Package != "left 1.0" || first.Vulnerability != "CVE-2021-0001" || first.Why != "severity is critical or above" {
		t.Errorf("first reason: %+v", first)
	}
}

func TestWhyNamesTheGrace(t *testing.T) {
	r := rule(func(r *tidewaiter.Rule) { r.Block, r.Grace.Days = at(tidewaiter.SeverityHigh), 12 })
	got := policy.Evaluate(input(r, finding(nil))).Verdict.Reasons[0]
	if got.Why != "severity is high or above; blocks in 2 days" || got.GraceDays != 2 {
		t.Errorf("%+v", got)
	}
}

func TestFindingsOfAResult(t *testing.T) {
	p1, p2 := &tidewaiter.Package{ID: 1, Name: "a"}, &tidewaiter.Package{ID: 2, Name: "b"}
	v := &tidewaiter.Vulnerability{ID: "CVE-1"}
	r := &tidewaiter.Result{
		Content:         &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p2}, {Package: p1}, {Package: p2, Path: "x"}}},
		Findings:        map[int64][]tidewaiter.Finding{1: {{Vulnerability: "CVE-1"}}, 2: {{Vulnerability: "CVE-1"}, {Vulnerability: "CVE-2"}}},
		Vulnerabilities: map[string]*tidewaiter.Vulnerability{"CVE-1": v},
		FirstFound:      map[tidewaiter.FindingKey]time.Time{{PackageID: 2, Vulnerability: "CVE-1"}: now},
	}
	want := []policy.Finding{
		{Finding: tidewaiter.Finding{Vulnerability: "CVE-1"}, Package: p2, Details: v, FirstFound: now},
		{Finding: tidewaiter.Finding{Vulnerability: "CVE-2"}, Package: p2},
		{Finding: tidewaiter.Finding{Vulnerability: "CVE-1"}, Package: p1, Details: v},
	}
	if diff := cmp.Diff(want, policy.Findings(r)); diff != "" {
		t.Error(diff)
	}
	if got := policy.Findings(&tidewaiter.Result{}); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}
