package scan

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Rules are the policies and collections in force.
type Rules struct {
	Vulnerability *tidewaiter.Policy
	Compliance    *tidewaiter.Policy
	Collections   map[string]tidewaiter.Collection
}

// DefaultRules returns those of a fresh installation.
func DefaultRules() Rules {
	policies, collections := policy.Defaults()
	r := Rules{Collections: map[string]tidewaiter.Collection{}}
	for i := range policies {
		switch policies[i].Kind {
		case tidewaiter.PolicyVulnerability:
			r.Vulnerability = &policies[i]
		case tidewaiter.PolicyCompliance:
			r.Compliance = &policies[i]
		}
	}
	for _, c := range collections {
		r.Collections[c.Name] = c
	}
	return r
}

// summarize condenses a result into the numbers that lists show, and lets policy judge it. The result must have its
// content, findings and checks.
func summarize(r *tidewaiter.Result, names []string, rules Rules, at judgedBy, now time.Time) *tidewaiter.Judgement {
	j := &tidewaiter.Judgement{
		Advisories: at.advisories, Analyzer: at.analyzer, JudgedAt: now, Distribution: r.Content.Distribution,
		EndOfLife: at.endOfLife, Packages: len(r.Content.Installed), Secrets: len(r.Content.Secrets),
		Incomplete: len(r.Content.Notices) > 0,
	}
	findings := policy.Findings(r)
	for i := range findings {
		j.Vulnerabilities.Add(policy.EffectiveSeverity(&findings[i]))
		if findings[i].FixedIn != "" {
			j.Fixable++
		}
	}
	for _, c := range r.Checks {
		if !c.Passed {
			j.Checks.Add(c.Severity)
		}
	}
	out := policy.Evaluate(policy.Input{
		Vulnerability: rules.Vulnerability, Compliance: rules.Compliance, Collections: rules.Collections,
		Names: names, Labels: r.Image.Config.Labels, Findings: findings, Checks: r.Checks,
		Content: r.Content, Config: &r.Image.Config, Now: now,
	})
	j.Verdict, j.RiskFactors = out.Verdict, out.RiskFactors
	return j
}

// judgedBy says what a judgement rests on.
type judgedBy struct {
	advisories string // "" when there were none
	analyzer   string
	endOfLife  bool
}
