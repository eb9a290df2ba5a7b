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
	Declared      policy.Declared

	generation int64 // of all of these
	bases      []policy.BaseImage
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
	rules.Declared.Apply(r, names, findings)
	countFindings(j, findings)
	for _, c := range r.Checks {
		if !c.Passed {
			j.Checks.Add(c.Severity)
		}
	}
	out := policy.Evaluate(rules.input(r, names, findings, now))
	j.Verdict, j.RiskFactors = out.Verdict, out.RiskFactors
	return j
}

// countFindings sets the numbers of a judgement that come from findings.
func countFindings(j *tidewaiter.Judgement, findings []policy.Finding) {
	j.Vulnerabilities, j.Fixable = tidewaiter.Counts{}, 0
	for i := range findings {
		j.Vulnerabilities.Add(policy.EffectiveSeverity(&findings[i]))
		if findings[i].FixedIn != "" {
			j.Fixable++
		}
	}
}

// input is what a verdict on a result depends on.
func (r *Rules) input(of *tidewaiter.Result, names []string, findings []policy.Finding, now time.Time) policy.Input {
	return policy.Input{
		Vulnerability: r.Vulnerability, Compliance: r.Compliance, Collections: r.Collections,
		Names: names, Labels: of.Image.Config.Labels, Findings: findings, Checks: of.Checks,
		Content: of.Content, Config: &of.Image.Config, Now: now,
	}
}

// judgedBy says what a judgement rests on.
type judgedBy struct {
	advisories string // "" when there were none
	analyzer   string
	endOfLife  bool
	findings   int64 // the generation of the findings
}
