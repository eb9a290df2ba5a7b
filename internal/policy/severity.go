package policy

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// EffectiveSeverity returns the severity a finding is judged by: its own, else the vulnerability's, else that of the CVSS
// score, newest version first.
func EffectiveSeverity(f *Finding) tidewaiter.Severity {
	if f.Severity != tidewaiter.SeverityUnknown || f.Details == nil {
		return f.Severity
	}
	if f.Details.Severity != tidewaiter.SeverityUnknown {
		return f.Details.Severity
	}
	if s := tidewaiter.SeverityOfScore(f.Details.Score); s != tidewaiter.SeverityUnknown {
		return s
	}
	return tidewaiter.SeverityOfScore(f.Details.ScoreV2)
}

// Normalize folds the severities only some distributions know into the common four. Prisma: with normalizedSeverity,
// unimportant, negligible, untriaged and not yet assigned become low.
func Normalize(s tidewaiter.Severity) tidewaiter.Severity {
	return max(s, tidewaiter.SeverityLow)
}
