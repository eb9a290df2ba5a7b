// Package policy turns what is known of an image into a verdict. It is pure: the same input gives the same outcome,
// whatever order the findings come in, and the clock is part of the input.
//
// One rule of each policy decides on an image: the first enabled one whose collections cover it. Where no rule does,
// everything is alerted on. (Prisma: rules are evaluated top-down, the first match wins.) Under a vulnerability rule a
// finding is judged in this order, and the first answer stands:
//
//  1. It comes from a declared base image and the rule leaves those out: ignored.
//  2. An exception for its vulnerability, then one for a tag it carries: the exception's effect. Of several that have not
//     expired the one listed first counts.
//  3. The rule wants fixed vulnerabilities only and there is no fix: ignored.
//  4. The strongest of what the thresholds say (those of the package's type where the rule has such, else the rule's own)
//     and what the rule says of the risk factors at hand.
//
// A block from 2 or from a threshold is an alert while the grace period lasts; a block for a risk factor is not postponed.
package policy

import (
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Input is everything a verdict depends on. Nothing in it is changed.
type Input struct {
	Vulnerability *tidewaiter.Policy // nil is a policy without rules
	Compliance    *tidewaiter.Policy
	Collections   map[string]tidewaiter.Collection // by name; a rule's collection that is not here covers nothing

	Names    []string          // every name of the image: host/repository:tag
	Labels   map[string]string // of the image's configuration
	Findings []Finding
	Checks   []tidewaiter.Check
	Content  *tidewaiter.Content     // for licences and secrets; may be nil
	Config   *tidewaiter.ImageConfig // for the image's own risk factors; may be nil
	Now      time.Time

	// Room is memory for Outcome.Findings, which uses it as far as it goes: who judges many images saves most of the time by
	// handing it on from one to the next. May be nil.
	Room []Judged
}

// Finding is a finding with what policy needs to know beside it.
type Finding struct {
	tidewaiter.Finding
	Package    *tidewaiter.Package       // may be nil
	Details    *tidewaiter.Vulnerability // may be nil
	FirstFound time.Time                 // on this image; zero counts as now
	FixedAt    time.Time                 // when the fix came out; zero when nobody says
	Base       bool                      // comes from a layer of a declared base image
	Exploited  bool                      // attacks have been seen, as CISA's catalog says
	Tags       []string                  // what people tagged the vulnerability with
	Factors    *Factors                  // FindingFactors of it, worked out at Input.Now or not long before; may be nil
}

// Outcome is what policy makes of an image.
type Outcome struct {
	Verdict     tidewaiter.Verdict
	Findings    []Judged // one for each of Input.Findings, in their order
	Checks      []Judged // one for each of Input.Checks; a passed one is ignored
	RiskFactors []tidewaiter.RiskFactor
}

// Evaluate judges an image.
func Evaluate(in Input) Outcome {
	var o Outcome
	var v verdict

	vulnerability := RuleFor(in.Vulnerability, in.Collections, in.Names, in.Labels)
	image := ImageFactors(in.Config, in.Content)
	j := newFindingJudge(vulnerability, image, in.Now)
	factors := image
	o.Findings = slices.Grow(in.Room[:0], len(in.Findings))[:len(in.Findings)]
	for i := range in.Findings {
		f := &in.Findings[i]
		o.Findings[i] = j.judge(f)
		if o.Findings[i].Effect != tidewaiter.EffectIgnore {
			factors |= o.Findings[i].Factors
		}
		v.finding(f, &o.Findings[i])
	}
	for _, l := range judgeLicenses(vulnerability, in.Content) {
		v.license(l)
	}

	compliance := RuleFor(in.Compliance, in.Collections, in.Names, in.Labels)
	o.Checks = make([]Judged, len(in.Checks))
	for i := range in.Checks {
		o.Checks[i] = judgeCheck(compliance, &in.Checks[i])
		v.check(&in.Checks[i], &o.Checks[i])
	}

	o.Verdict = v.verdict(vulnerability, compliance)
	o.RiskFactors = factors.List()
	return o
}

// Findings lists the findings of a result for Evaluate: each package's once, in the order of the content. What Result
// does not hold (Base, FixedAt, Tags) is left zero.
func Findings(r *tidewaiter.Result) []Finding {
	if r.Content == nil {
		return nil
	}
	var out []Finding
	seen := make(map[int64]bool, len(r.Content.Installed))
	for _, in := range r.Content.Installed {
		if in.Package == nil || seen[in.Package.ID] {
			continue
		}
		seen[in.Package.ID] = true
		for _, f := range r.Findings[in.Package.ID] {
			out = append(out, Finding{
				Finding:    f,
				Package:    in.Package,
				Details:    r.Vulnerabilities[f.Vulnerability],
				Exploited:  r.Threats[f.Vulnerability].Exploited(),
				FirstFound: r.FirstFound[tidewaiter.FindingKey{PackageID: in.Package.ID, Vulnerability: f.Vulnerability}],
			})
		}
	}
	return out
}
