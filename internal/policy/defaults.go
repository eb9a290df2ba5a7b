package policy

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// Names of the rules a fresh installation has. Prisma: these are what its console starts with.
const (
	ruleIgnoreOwn    = "Default - ignore Twistlock components"
	ruleAlertAll     = "Default - alert all components"
	ruleCriticalHigh = "Default - alert on critical and high"
)

// criticalAndHigh are the image checks of critical and high severity, which alert by default. Prisma: checks of medium
// and low severity are ignored by default.
var criticalAndHigh = [...]int{41, 422, 423, 424, 425, 426, 448, 455, 456, 5041}

// Defaults returns the policies and collections of a fresh installation. Each call returns new ones.
func Defaults() ([]tidewaiter.Policy, []tidewaiter.Collection) {
	collections := []tidewaiter.Collection{
		{
			Name: tidewaiter.CollectionAll, Description: "System - all resources collection", Color: "#3FA2F7",
			Images: []string{"*"}, Labels: []string{"*"}, Owner: "system", System: true,
		},
		{
			Name: tidewaiter.CollectionOwnImages, Description: "System - the scanner's own images", Color: "#021745",
			Images: []string{"*twistlock*"}, Labels: []string{"*"}, Owner: "system", System: true,
		},
	}
	everything := tidewaiter.Threshold{Enabled: true}
	alertAll := tidewaiter.Rule{
		Name: ruleAlertAll, Collections: []string{tidewaiter.CollectionAll}, Alert: everything, Owner: "system",
	}
	policies := []tidewaiter.Policy{
		{Kind: tidewaiter.PolicyVulnerability, Rules: []tidewaiter.Rule{
			{
				Name: ruleIgnoreOwn, Collections: []string{tidewaiter.CollectionOwnImages}, OnlyFixed: true, Owner: "system",
				Alert: tidewaiter.Threshold{Enabled: true, Severity: tidewaiter.SeverityMedium},
			},
			alertAll,
		}},
		{Kind: tidewaiter.PolicyCompliance, Rules: []tidewaiter.Rule{
			{Name: ruleIgnoreOwn, Collections: []string{tidewaiter.CollectionOwnImages}, Alert: everything, Owner: "system"},
			alertCriticalAndHigh(),
		}},
		{Kind: tidewaiter.PolicyCIVulnerability, Rules: []tidewaiter.Rule{alertAll}},
		{Kind: tidewaiter.PolicyCICompliance, Rules: []tidewaiter.Rule{alertCriticalAndHigh()}},
	}
	return policies, collections
}

func alertCriticalAndHigh() tidewaiter.Rule {
	checks := make(map[int]tidewaiter.CheckEffect, len(criticalAndHigh))
	for _, id := range criticalAndHigh {
		checks[id] = tidewaiter.CheckEffect{}
	}
	return tidewaiter.Rule{
		Name: ruleCriticalHigh, Collections: []string{tidewaiter.CollectionAll}, Checks: checks, Owner: "system",
		Alert: tidewaiter.Threshold{Enabled: true},
	}
}
