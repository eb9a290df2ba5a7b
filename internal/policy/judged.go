package policy

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Cause says which part of a rule decided.
type Cause string

// The causes.
const (
	CauseNoRule     Cause = "no_rule"     // no rule covers the image: alert
	CauseBase       Cause = "base"        // from a base image the rule leaves out
	CauseUnfixed    Cause = "unfixed"     // the rule wants fixed vulnerabilities only
	CauseException  Cause = "exception"   // an exception of the rule
	CauseThreshold  Cause = "threshold"   // at or above a threshold
	CauseBelow      Cause = "below"       // below every threshold
	CauseRiskFactor Cause = "risk_factor" // the rule gives a risk factor an effect
	CauseListed     Cause = "listed"      // the rule lists the check
	CauseUnlisted   Cause = "unlisted"    // the rule does not list the check
	CausePassed     Cause = "passed"      // the check passed
)

// Judged is what policy makes of one finding or check.
type Judged struct {
	Effect    tidewaiter.Effect
	Rule      string // "" when no rule covers the image
	Cause     Cause
	GraceDays int                   // days left before an alert becomes a block; 0 when there is no grace
	Exception *tidewaiter.Exception // the one that decided; nil otherwise
	Factors   Factors               // of a finding, without the image's own

	decidedBy tidewaiter.Severity   // the threshold
	factor    tidewaiter.RiskFactor // the risk factor
}

// Why says in one sentence why the effect is what it is.
func (j *Judged) Why() string {
	s := j.cause()
	switch {
	case j.GraceDays == 1:
		s += "; blocks in 1 day"
	case j.GraceDays > 1:
		s += fmt.Sprintf("; blocks in %d days", j.GraceDays)
	}
	return s
}

func (j *Judged) cause() string {
	switch j.Cause {
	case CauseNoRule:
		return "no rule covers the image"
	case CauseBase:
		return "comes from a base image"
	case CauseUnfixed:
		return "there is no fix"
	case CauseException:
		if j.Exception.Vulnerability != "" {
			return "exception for " + j.Exception.Vulnerability
		}
		return "exception for tag " + j.Exception.Tag
	case CauseThreshold:
		if j.decidedBy == tidewaiter.SeverityUnknown {
			return "every severity counts"
		}
		return "severity is " + j.decidedBy.String() + " or above"
	case CauseBelow:
		return "below the thresholds"
	case CauseRiskFactor:
		return "risk factor: " + string(j.factor)
	case CauseListed:
		return "the check failed"
	case CauseUnlisted:
		return "the rule does not ask for this check"
	case CausePassed:
		return "the check passed"
	}
	return string(j.Cause)
}

// rank orders effects by strength.
func rank(e tidewaiter.Effect) int {
	switch e {
	case tidewaiter.EffectBlock:
		return 2
	case tidewaiter.EffectAlert:
		return 1
	}
	return 0
}
