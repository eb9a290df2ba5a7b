package policy

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// judgeCheck judges one check. Prisma: a check the rule does not list is ignored; a listed one alerts, or blocks when the
// rule says so. Where no rule covers the image every failed check alerts.
func judgeCheck(rule *tidewaiter.Rule, c *tidewaiter.Check) Judged {
	out := Judged{Effect: tidewaiter.EffectIgnore}
	if rule != nil {
		out.Rule = rule.Name
	}
	if c.Passed {
		out.Cause = CausePassed
		return out
	}
	if rule == nil {
		out.Effect, out.Cause = tidewaiter.EffectAlert, CauseNoRule
		return out
	}
	effect, listed := rule.Checks[c.ID]
	switch {
	case !listed:
		out.Cause = CauseUnlisted
	case c.Severity < effect.MinSeverity:
		out.Cause = CauseBelow
	case effect.Block:
		out.Effect, out.Cause = tidewaiter.EffectBlock, CauseListed
	default:
		out.Effect, out.Cause = tidewaiter.EffectAlert, CauseListed
	}
	return out
}
