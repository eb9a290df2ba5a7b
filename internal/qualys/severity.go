package qualys

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// severityOf is the vendor's number of a severity. Qualys: 5 is urgent, 1 minimal. Ours: what no one has rated is minimal.
func severityOf(s tidewaiter.Severity) int {
	switch s {
	case tidewaiter.SeverityCritical:
		return 5
	case tidewaiter.SeverityHigh:
		return 4
	case tidewaiter.SeverityMedium:
		return 3
	case tidewaiter.SeverityLow:
		return 2
	}
	return 1
}

// bySeverity holds a number for each of the severities 1 to 5; [0] stays 0.
type bySeverity [6]int

// severityCounts turns counts into the vendor's numbers.
func severityCounts(c tidewaiter.Counts) bySeverity {
	return bySeverity{5: c.Critical, 4: c.High, 3: c.Medium, 2: c.Low, 1: c.Negligible + c.Unknown}
}

// countsBySeverity is how the vendor writes counts.
type countsBySeverity struct {
	Severity5Count int `json:"severity5Count"`
	Severity4Count int `json:"severity4Count"`
	Severity3Count int `json:"severity3Count"`
	Severity2Count int `json:"severity2Count"`
	Severity1Count int `json:"severity1Count"`
}

func countsOf(n bySeverity) countsBySeverity {
	return countsBySeverity{n[5], n[4], n[3], n[2], n[1]}
}
