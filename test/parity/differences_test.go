package parity_test

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/test/parity/trivy"
)

// differences lists what one of two reports has and the other has not, a line each, sorted: "+" is what only we say,
// "-" what only Trivy says. What a report says several times counts once.
func differences(ours, theirs trivy.Report) []string {
	a, b := lines(ours), lines(theirs)
	var list []string
	for line := range a {
		if !b[line] {
			list = append(list, "+ "+line)
		}
	}
	for line := range b {
		if !a[line] {
			list = append(list, "- "+line)
		}
	}
	return sorted(list)
}

// lines is everything a report says, a line a statement.
func lines(r trivy.Report) map[string]bool {
	all := map[string]bool{
		"distribution " + r.Distribution:           true,
		fmt.Sprintf("end of life %v", r.EndOfLife): true,
	}
	for _, p := range r.Packages {
		all[fmt.Sprintf("package %s %s %s %s", p.Type, p.Name, p.Version, p.Path)] = true
	}
	for _, f := range r.Findings {
		all[fmt.Sprintf("finding %s %s %s %s fixed in %q, %s", f.Package, f.Version, f.Vulnerability, f.Severity, f.Fixed,
			f.Status)] = true
	}
	for _, s := range r.Secrets {
		all[fmt.Sprintf("secret %s %s", s.Rule, s.Path)] = true
	}
	return all
}
