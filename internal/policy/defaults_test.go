package policy_test

import (
	"errors"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestDefaults(t *testing.T) {
	policies, list := policy.Defaults()
	byName := map[string]tidewaiter.Collection{}
	for _, c := range list {
		byName[c.Name] = c
	}
	kinds := map[tidewaiter.PolicyKind]*tidewaiter.Policy{}
	for i := range policies {
		kinds[policies[i].Kind] = &policies[i]
		if err := policy.Validate(&policies[i], byName); err != nil {
			t.Errorf("%s: %v", policies[i].Kind, err)
		}
	}
	if len(kinds) != 4 || len(byName) != 2 {
		t.Fatalf("%d policies, %d collections", len(kinds), len(byName))
	}
	evaluate := func(name string) policy.Outcome {
		return policy.Evaluate(policy.Input{
			Vulnerability: kinds[tidewaiter.PolicyVulnerability], Compliance: kinds[tidewaiter.PolicyCompliance],
			Collections: byName, Names: []string{name}, Now: now,
			Findings: []policy.Finding{finding(nil), finding(func(f *policy.Finding) { f.FixedIn = "" }),
				finding(func(f *policy.Finding) { f.Severity = tidewaiter.SeverityLow })},
			Checks: []tidewaiter.Check{{ID: 41, Severity: tidewaiter.SeverityHigh}, {ID: 406, Severity: tidewaiter.SeverityMedium}},
		})
	}
	if v := evaluate(name).Verdict; v.Effect != tidewaiter.EffectAlert || v.Alerts != 4 {
		t.Errorf("an ordinary image: %+v", v)
	}
	v := evaluate("registry.example.com/twistlock/defender:1").Verdict
	if v.Alerts != 1 || len(v.Rules) != 2 || v.Rules[0] != "Default - ignore Twistlock components" {
		t.Errorf("an image of the scanner's own: %+v", v)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*tidewaiter.Rule)
		field  string // "" is valid
	}{
		{"plain", nil, ""},
		{"no name", func(r *tidewaiter.Rule) { r.Name = "" }, "rules[0].name"},
		{"no collections", func(r *tidewaiter.Rule) { r.Collections = nil }, "rules[0].collections"},
		{"unknown collection", func(r *tidewaiter.Rule) { r.Collections = []string{"nonesuch"} }, "rules[0].collections"},
		{"block below alert", func(r *tidewaiter.Rule) {
			r.Alert, r.Block = at(tidewaiter.SeverityHigh), at(tidewaiter.SeverityLow)
		}, "rules[0].block"},
		{"block below alerts that are disabled", func(r *tidewaiter.Rule) {
			r.Alert, r.Block = tidewaiter.Threshold{Severity: tidewaiter.SeverityHigh}, at(tidewaiter.SeverityLow)
		}, ""},
		{"unknown package type", func(r *tidewaiter.Rule) { r.Ecosystems = []tidewaiter.EcosystemRule{{Type: "x"}} }, "rules[0].ecosystems"},
		{"block below alert of a type", func(r *tidewaiter.Rule) {
			r.Ecosystems = []tidewaiter.EcosystemRule{{Type: "jar", Alert: at(5), Block: at(2)}}
		}, "rules[0].ecosystems.block"},
		{"block below alert of licences", func(r *tidewaiter.Rule) {
			r.Licenses = tidewaiter.LicenseRule{Alert: at(5), Block: at(2)}
		}, "rules[0].licenses.block"},
		{"exception without subject", func(r *tidewaiter.Rule) { r.Exceptions = []tidewaiter.Exception{{Effect: "ignore"}} }, "rules[0].exceptions"},
		{"exception with unknown effect", func(r *tidewaiter.Rule) { r.Exceptions = []tidewaiter.Exception{{Tag: "a", Effect: "deny"}} }, "rules[0].exceptions"},
		{"risk factor with unknown effect", func(r *tidewaiter.Rule) {
			r.RiskFactors = []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskRoot}}
		}, "rules[0].riskFactors"},
		{"negative grace", func(r *tidewaiter.Rule) { r.Grace.Days = -1 }, "rules[0].grace"},
		{"negative grace by severity", func(r *tidewaiter.Rule) { r.Grace.BySeverity = map[tidewaiter.Severity]int{1: -1} }, "rules[0].grace"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := policy.Validate(&tidewaiter.Policy{Rules: []tidewaiter.Rule{rule(test.change)}}, collections())
			check(t, err, test.field)
		})
	}
	check(t, policy.Validate(&tidewaiter.Policy{Rules: []tidewaiter.Rule{rule(nil), rule(nil)}}, collections()), "rules[1].name")
	check(t, policy.Validate(&tidewaiter.Policy{Rules: make([]tidewaiter.Rule, policy.MaxRules+1)}, collections()), "rules")
}

func check(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || e.Kind != tidewaiter.ErrInvalid || e.Field != field {
		t.Errorf("got %#v, want an error on %s", err, field)
	}
}
