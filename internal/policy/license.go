package policy

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// judgedLicense is a licence of a package that a rule acts on.
type judgedLicense struct {
	Judged
	pkg      *tidewaiter.Package
	license  string
	severity tidewaiter.Severity
}

// judgeLicenses judges each distinct package's licences by the rule. A licence the rule gives no severity is not judged.
func judgeLicenses(rule *tidewaiter.Rule, content *tidewaiter.Content) []judgedLicense {
	if rule == nil || content == nil || len(rule.Licenses.Severities) == 0 ||
		!rule.Licenses.Alert.Enabled && !rule.Licenses.Block.Enabled {
		return nil
	}
	severities := make(map[string]tidewaiter.Severity, len(rule.Licenses.Severities))
	for id, s := range rule.Licenses.Severities {
		id = strings.ToLower(id)
		severities[id] = max(severities[id], s)
	}
	type occurrence struct{ name, version, license string }
	seen := make(map[occurrence]bool)
	var out []judgedLicense
	for _, in := range content.Installed {
		if in.Package == nil {
			continue
		}
		for _, license := range in.Package.Licenses {
			key := occurrence{in.Package.Name, in.Package.FullVersion(), license}
			severity, listed := licenseSeverity(license, severities)
			if !listed || seen[key] {
				continue
			}
			seen[key] = true
			j := Judged{Rule: rule.Name, Effect: tidewaiter.EffectIgnore, Cause: CauseThreshold}
			if reaches(rule.Licenses.Alert, severity) {
				j.Effect, j.decidedBy = tidewaiter.EffectAlert, rule.Licenses.Alert.Severity
			}
			if reaches(rule.Licenses.Block, severity) {
				j.Effect, j.decidedBy = tidewaiter.EffectBlock, rule.Licenses.Block.Severity
			}
			if j.Effect != tidewaiter.EffectIgnore {
				out = append(out, judgedLicense{Judged: j, pkg: in.Package, license: license, severity: severity})
			}
		}
	}
	return out
}

// licenseSeverity looks up a licence. Of an SPDX expression the mildest alternative counts (one may choose) and in it the
// gravest part; an alternative nobody gave a severity is free. In a nested expression every part counts.
func licenseSeverity(expression string, severities map[string]tidewaiter.Severity) (tidewaiter.Severity, bool) {
	expression = strings.ToLower(strings.TrimSpace(expression))
	if s, ok := severities[expression]; ok {
		return s, true
	}
	if strings.ContainsAny(expression, "()") {
		flat := strings.NewReplacer("(", " ", ")", " ", " or ", " and ").Replace(expression)
		return gravestPart(flat, severities)
	}
	var mildest tidewaiter.Severity
	for i, alternative := range strings.Split(expression, " or ") {
		s, ok := gravestPart(alternative, severities)
		if !ok {
			return tidewaiter.SeverityUnknown, false
		}
		if i == 0 || s < mildest {
			mildest = s
		}
	}
	return mildest, true
}

func gravestPart(expression string, severities map[string]tidewaiter.Severity) (gravest tidewaiter.Severity, listed bool) {
	for part := range strings.SplitSeq(expression, " and ") {
		part = strings.TrimSpace(part)
		s, ok := severities[part]
		if !ok {
			id, _, _ := strings.Cut(part, " with ")
			s, ok = severities[strings.TrimSpace(id)]
		}
		if ok {
			gravest, listed = max(gravest, s), true
		}
	}
	return gravest, listed
}
