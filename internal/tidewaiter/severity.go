package tidewaiter

import "strings"

// Severity is how bad a finding or a failed check is. The order is the order of badness.
type Severity int

// The severities.
const (
	SeverityUnknown Severity = iota
	SeverityNegligible
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = [...]string{"unknown", "negligible", "low", "medium", "high", "critical"}

// String returns the severity's name in lower case.
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return severityNames[0]
	}
	return severityNames[s]
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name as ParseSeverity does.
func (s *Severity) UnmarshalText(b []byte) error {
	v, err := ParseSeverity(string(b))
	*s = v
	return err
}

// ParseSeverity reads a severity name in any case, with the words distributions use (important, moderate, unimportant).
func ParseSeverity(name string) (Severity, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "critical":
		return SeverityCritical, nil
	case "high", "important":
		return SeverityHigh, nil
	case "medium", "moderate":
		return SeverityMedium, nil
	case "low":
		return SeverityLow, nil
	case "negligible", "unimportant":
		return SeverityNegligible, nil
	case "", "unknown", "none", "untriaged", "not yet assigned":
		return SeverityUnknown, nil
	}
	return SeverityUnknown, Invalid("severity", "unknown severity %q", name).
		WithFix("one of critical, high, medium, low, negligible, unknown")
}

// SeverityOfScore returns the severity of a CVSS base score: 0-3.9 low, 4-6.9 medium, 7-8.9 high, 9-10 critical, and
// unknown for 0 and below.
func SeverityOfScore(score float64) Severity {
	switch {
	case score >= 9:
		return SeverityCritical
	case score >= 7:
		return SeverityHigh
	case score >= 4:
		return SeverityMedium
	case score > 0:
		return SeverityLow
	}
	return SeverityUnknown
}

// Counts is how many of something there are by severity.
type Counts struct {
	Critical   int `json:"critical"`
	High       int `json:"high"`
	Medium     int `json:"medium"`
	Low        int `json:"low"`
	Negligible int `json:"negligible"`
	Unknown    int `json:"unknown"`
}

// Add counts one more of severity s.
func (c *Counts) Add(s Severity) {
	switch s {
	case SeverityCritical:
		c.Critical++
	case SeverityHigh:
		c.High++
	case SeverityMedium:
		c.Medium++
	case SeverityLow:
		c.Low++
	case SeverityNegligible:
		c.Negligible++
	default:
		c.Unknown++
	}
}

// Total returns the sum over all severities.
func (c Counts) Total() int { return c.Critical + c.High + c.Medium + c.Low + c.Negligible + c.Unknown }

// Worst returns the highest severity that occurs, SeverityUnknown when none does.
func (c Counts) Worst() Severity {
	switch {
	case c.Critical > 0:
		return SeverityCritical
	case c.High > 0:
		return SeverityHigh
	case c.Medium > 0:
		return SeverityMedium
	case c.Low > 0:
		return SeverityLow
	case c.Negligible > 0:
		return SeverityNegligible
	}
	return SeverityUnknown
}

// RiskScore condenses counts into one number that sorts by the worst first: critical·1,000,000 + high·10,000 +
// medium·100 + low. Prisma: the score its consoles show is exactly this.
func (c Counts) RiskScore() int64 {
	return int64(c.Critical)*1_000_000 + int64(c.High)*10_000 + int64(c.Medium)*100 + int64(c.Low)
}
