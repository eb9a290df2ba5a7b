package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// verdict gathers what was judged: it counts everything and keeps the gravest reasons.
type verdict struct {
	alerts, blocks int
	worst          []reason // gravest first, at most MaxVerdictReasons
}

// reason is a candidate for a VerdictReason; exactly one of finding, check and license is set. Its text is made only for
// those that are kept.
type reason struct {
	judged   *Judged
	severity tidewaiter.Severity
	finding  *Finding
	check    *tidewaiter.Check
	license  *judgedLicense
}

func (v *verdict) finding(f *Finding, j *Judged) {
	if v.count(j.Effect) {
		v.keep(reason{judged: j, severity: EffectiveSeverity(f), finding: f})
	}
}

func (v *verdict) check(c *tidewaiter.Check, j *Judged) {
	if v.count(j.Effect) {
		v.keep(reason{judged: j, severity: c.Severity, check: c})
	}
}

func (v *verdict) license(l judgedLicense) {
	if v.count(l.Effect) {
		v.keep(reason{judged: &l.Judged, severity: l.severity, license: &l})
	}
}

// count counts an effect and reports whether it is worth a reason.
func (v *verdict) count(e tidewaiter.Effect) bool {
	switch e {
	case tidewaiter.EffectBlock:
		v.blocks++
	case tidewaiter.EffectAlert:
		v.alerts++
	default:
		return false
	}
	return true
}

func (v *verdict) keep(r reason) {
	full := len(v.worst) == tidewaiter.MaxVerdictReasons
	if full && compareReasons(&r, &v.worst[len(v.worst)-1]) >= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(v.worst, r, func(a, b reason) int { return compareReasons(&a, &b) })
	if full {
		v.worst = v.worst[:len(v.worst)-1]
	}
	v.worst = slices.Insert(v.worst, at, r)
}

// compareReasons orders the gravest first: by effect, severity, findings before checks before licences, score; and then
// by what names the reason, so that the order does not depend on the order of the input.
func compareReasons(a, b *reason) int {
	if c := cmp.Compare(rank(b.judged.Effect), rank(a.judged.Effect)); c != 0 {
		return c
	}
	if c := cmp.Compare(b.severity, a.severity); c != 0 {
		return c
	}
	if c := cmp.Compare(a.kind(), b.kind()); c != 0 {
		return c
	}
	switch {
	case a.finding != nil:
		return compareFindings(a, b)
	case a.check != nil:
		return cmp.Or(cmp.Compare(a.check.ID, b.check.ID), cmp.Compare(a.check.Title, b.check.Title),
			cmp.Compare(a.check.Cause, b.check.Cause))
	}
	return cmp.Or(cmp.Compare(a.license.license, b.license.license), comparePackages(a.license.pkg, b.license.pkg))
}

func compareFindings(a, b *reason) int {
	if c := cmp.Compare(score(b.finding), score(a.finding)); c != 0 {
		return c
	}
	if c := strings.Compare(a.finding.Vulnerability, b.finding.Vulnerability); c != 0 {
		return c
	}
	return cmp.Or(comparePackages(a.finding.Package, b.finding.Package),
		cmp.Compare(a.judged.GraceDays, b.judged.GraceDays), strings.Compare(a.judged.Why(), b.judged.Why()),
		strings.Compare(a.finding.FixedIn, b.finding.FixedIn))
}

func comparePackages(a, b *tidewaiter.Package) int {
	switch {
	case a == b:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.FullVersion(), b.FullVersion()))
}

func (r *reason) kind() int {
	switch {
	case r.finding != nil:
		return 0
	case r.check != nil:
		return 1
	}
	return 2
}

func score(f *Finding) float64 {
	if f.Details == nil {
		return 0
	}
	return f.Details.Score
}

func (v *verdict) verdict(vulnerability, compliance *tidewaiter.Rule) tidewaiter.Verdict {
	out := tidewaiter.Verdict{Effect: tidewaiter.EffectIgnore, Alerts: v.alerts, Blocks: v.blocks}
	switch {
	case v.blocks > 0:
		out.Effect = tidewaiter.EffectBlock
	case v.alerts > 0:
		out.Effect = tidewaiter.EffectAlert
	}
	for _, rule := range []*tidewaiter.Rule{vulnerability, compliance} {
		if rule != nil {
			out.Rules = append(out.Rules, rule.Name)
		}
	}
	for i := range v.worst {
		out.Reasons = append(out.Reasons, v.worst[i].text())
	}
	return out
}

func (r *reason) text() tidewaiter.VerdictReason {
	out := tidewaiter.VerdictReason{
		Effect: r.judged.Effect, Rule: r.judged.Rule, Severity: r.severity, Why: r.judged.Why(), GraceDays: r.judged.GraceDays,
	}
	switch {
	case r.finding != nil:
		out.Vulnerability, out.Package, out.FixedIn = r.finding.Vulnerability, nameVersion(r.finding.Package), r.finding.FixedIn
	case r.check != nil:
		out.Check = r.check.ID
		if r.check.Cause != "" {
			out.Why = r.check.Cause
		} else if r.check.Title != "" {
			out.Why = r.check.Title
		}
	default:
		out.License, out.Package = r.license.license, nameVersion(r.license.pkg)
	}
	return out
}

func nameVersion(p *tidewaiter.Package) string {
	if p == nil {
		return ""
	}
	return strings.TrimSpace(p.Name + " " + p.FullVersion())
}
