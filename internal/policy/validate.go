package policy

import (
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Limits of a policy.
const (
	MaxRules      = 1000
	MaxExceptions = 10_000 // per rule
)

// Validate reports the first thing wrong with a policy as an ErrInvalid: a rule without a name or with another's, without
// collections or with unknown ones, a block threshold below the alert threshold, an unknown effect, a negative grace
// period.
func Validate(p *tidewaiter.Policy, collections map[string]tidewaiter.Collection) error {
	if len(p.Rules) > MaxRules {
		return tidewaiter.Invalid("rules", "a policy has at most %d rules", MaxRules)
	}
	names := make(map[string]bool, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		field := fmt.Sprintf("rules[%d]", i)
		if r.Name == "" {
			return tidewaiter.Invalid(field+".name", "a rule needs a name")
		}
		if names[r.Name] {
			return tidewaiter.Invalid(field+".name", "two rules are named %q", r.Name)
		}
		names[r.Name] = true
		if err := validateRule(r, field, collections); err != nil {
			return err
		}
	}
	return nil
}

func validateRule(r *tidewaiter.Rule, field string, collections map[string]tidewaiter.Collection) error {
	if len(r.Collections) == 0 {
		return tidewaiter.Invalid(field+".collections", "rule %q has no collections", r.Name)
	}
	for _, c := range r.Collections {
		if _, ok := collections[c]; !ok {
			return tidewaiter.Invalid(field+".collections", "rule %q names collection %q, which does not exist", r.Name, c)
		}
	}
	if err := validateThresholds(field, r.Alert, r.Block); err != nil {
		return err
	}
	for _, e := range r.Ecosystems {
		if !slices.Contains(packageTypes, e.Type) {
			return tidewaiter.Invalid(field+".ecosystems", "unknown package type %q", e.Type)
		}
		if err := validateThresholds(field+".ecosystems", e.Alert, e.Block); err != nil {
			return err
		}
	}
	if err := validateThresholds(field+".licenses", r.Licenses.Alert, r.Licenses.Block); err != nil {
		return err
	}
	return validateEffects(r, field)
}

// validateThresholds holds Prisma's rule that blocking starts at or above where alerting does.
func validateThresholds(field string, alert, block tidewaiter.Threshold) error {
	if alert.Enabled && block.Enabled && block.Severity < alert.Severity {
		return tidewaiter.Invalid(field+".block", "the block threshold (%s) is below the alert threshold (%s)",
			block.Severity, alert.Severity).WithFix("raise the one or lower the other")
	}
	return nil
}

func validateEffects(r *tidewaiter.Rule, field string) error {
	if len(r.Exceptions) > MaxExceptions {
		return tidewaiter.Invalid(field+".exceptions", "a rule has at most %d exceptions", MaxExceptions)
	}
	for _, e := range r.Exceptions {
		if (e.Vulnerability == "") == (e.Tag == "") {
			return tidewaiter.Invalid(field+".exceptions", "an exception names either a vulnerability or a tag")
		}
		if !known(e.Effect) {
			return tidewaiter.Invalid(field+".exceptions", "unknown effect %q", e.Effect).WithFix("one of ignore, alert, block")
		}
	}
	for _, f := range r.RiskFactors {
		if !known(f.Effect) {
			return tidewaiter.Invalid(field+".riskFactors", "unknown effect %q", f.Effect).WithFix("one of ignore, alert, block")
		}
	}
	if r.Grace.Days < 0 {
		return tidewaiter.Invalid(field+".grace", "the grace period must not be negative")
	}
	for _, days := range r.Grace.BySeverity {
		if days < 0 {
			return tidewaiter.Invalid(field+".grace", "the grace period must not be negative")
		}
	}
	return nil
}

func known(e tidewaiter.Effect) bool {
	return e == tidewaiter.EffectIgnore || e == tidewaiter.EffectAlert || e == tidewaiter.EffectBlock
}
