package policy

import (
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Factors is a set of risk factors.
type Factors uint32

// factorOrder is the order factors are listed in; a factor's place is its bit.
var factorOrder = [...]tidewaiter.RiskFactor{
	tidewaiter.RiskCritical, tidewaiter.RiskHigh, tidewaiter.RiskMedium, tidewaiter.RiskHasFix, tidewaiter.RiskRemote,
	tidewaiter.RiskDoSLow, tidewaiter.RiskDoSHigh, tidewaiter.RiskRecent, tidewaiter.RiskExploitWild,
	tidewaiter.RiskExploitPOC, tidewaiter.RiskLowComplexity, tidewaiter.RiskNetwork, tidewaiter.RiskListeningPorts,
	tidewaiter.RiskRoot, tidewaiter.RiskSensitive,
}

const (
	critical Factors = 1 << iota
	high
	medium
	hasFix
	remote
	dosLow
	dosHigh
	recent
	exploitWild
	exploitPOC
	lowComplexity
	network
	listeningPorts
	root
	sensitive
)

// factorOf returns the set of one factor, by its name in any case; the empty set for one we cannot tell.
func factorOf(name tidewaiter.RiskFactor) Factors {
	for i, f := range factorOrder {
		if strings.EqualFold(string(f), string(name)) {
			return 1 << i
		}
	}
	return 0
}

// List returns the factors in a fixed order; nil when there are none.
func (f Factors) List() []tidewaiter.RiskFactor {
	var out []tidewaiter.RiskFactor
	for i, name := range factorOrder {
		if f&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// Has reports whether the set holds a factor.
func (f Factors) Has(name tidewaiter.RiskFactor) bool { return f&factorOf(name) != 0 }

// FindingFactors returns the risk factors of one finding, without those of the image around it. The names are Prisma's;
// how they are told from CVSS vectors, dates, references and words is ours.
func FindingFactors(f *Finding, now time.Time) Factors {
	return detailFactors(f.Details, now) | OwnFactors(f, now)
}

// VulnerabilityFactors returns the risk factors of a vulnerability whatever package it is found in.
func VulnerabilityFactors(v *tidewaiter.Vulnerability, now time.Time) Factors {
	return detailFactors(v, now)
}

// ImageFactors returns the risk factors of an image as such: declared ports, the root user, secrets left in it.
func ImageFactors(config *tidewaiter.ImageConfig, content *tidewaiter.Content) Factors {
	var out Factors
	if config != nil {
		if len(config.ExposedPorts) > 0 {
			out |= listeningPorts
		}
		if user, _, _ := strings.Cut(config.User, ":"); user == "" || user == "0" || user == "root" {
			out |= root
		}
	}
	if content != nil && len(content.Secrets) > 0 {
		out |= sensitive
	}
	return out
}

// OwnFactors returns the risk factors of a finding that depend on itself and not on what its vulnerability is like: with
// VulnerabilityFactors they are all of FindingFactors.
func OwnFactors(f *Finding, now time.Time) Factors {
	var out Factors
	switch EffectiveSeverity(f) {
	case tidewaiter.SeverityCritical:
		out |= critical
	case tidewaiter.SeverityHigh:
		out |= high
	case tidewaiter.SeverityMedium:
		out |= medium
	}
	if f.FixedIn != "" {
		out |= hasFix
	}
	if f.Exploited {
		out |= exploitWild
	}
	if (f.Details == nil || f.Details.Published.IsZero()) && recentID(f.Vulnerability, now) {
		out |= recent
	}
	return out
}

// detailFactors returns what depends on the vulnerability alone, whatever package it is found in. It reads at most
// maxRead bytes of the description and maxReferences references.
func detailFactors(v *tidewaiter.Vulnerability, now time.Time) Factors {
	if v == nil {
		return 0
	}
	var out Factors
	// Ours: recent is this calendar year and the one before.
	if !v.Published.IsZero() && v.Published.UTC().Year() >= now.UTC().Year()-1 {
		out |= recent
	}
	text := v.Description[:min(len(v.Description), maxRead)]
	c := parseCVSS(v)
	if saysCode(text) && (c.network || !c.known && containsAny(text, remoteWords)) {
		out |= remote
	}
	return out | c.factors() | dosFactors(c, saysDoS(text)) | exploitFactors(v, text)
}

const (
	maxRead       = 4 << 10
	maxReferences = 50
)

// Words to look for. They leave out the first letter, so that they are found at the start of a sentence as well as inside
// one without turning each description into lower case first; and what is looked for in every description starts with a
// rare letter, which is what makes the search quick.
var (
	codeWords      = []string{"ode execution", "xecute code", "xecution of code", "ommand execution"}
	arbitraryWords = []string{"bitrary code", "bitrary command"}
	remoteWords    = []string{"emote attack", "emote code", "emote unauth", "emote auth", "emotely"}
	dosWords       = []string{"enial of service", "enial-of-service"}
	pocWords       = []string{"xploit has been disclosed", "xploit has been made public", "xploit is publicly available",
		"xploit is now public", "f concept", "f-concept"}
)

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// saysCode reports whether a description speaks of running an attacker's code.
func saysCode(text string) bool {
	return strings.Contains(text, "bitrary co") && containsAny(text, arbitraryWords) ||
		strings.Contains(text, "xecut") && containsAny(text, codeWords)
}

// saysDoS reports whether a description speaks of denial of service.
func saysDoS(text string) bool {
	return strings.Contains(text, "vice") && containsAny(text, dosWords) || strings.Contains(text, "DoS")
}

// dosFactors tells denial of service: by the words, or by a vulnerability that touches availability and nothing else. How
// grave it is says the availability impact; where no vector says, the words alone count as low.
func dosFactors(c cvss, said bool) Factors {
	switch {
	case !said && !c.availabilityOnly:
		return 0
	case c.availability == 'H' || c.availability == 'C':
		return dosHigh
	}
	return dosLow
}

func exploitFactors(v *tidewaiter.Vulnerability, text string) Factors {
	var out Factors
	if strings.Contains(text, "xploit") {
		if strings.Contains(text, "as exploited in the wild") {
			out |= exploitWild
		}
		if containsAny(text, pocWords) {
			out |= exploitPOC
		}
	}
	for _, r := range v.References[:min(len(v.References), maxReferences)] {
		switch {
		case strings.Contains(r, "cisa.gov/known-exploited-vulnerabilities"):
			out |= exploitWild
		case strings.Contains(r, "exploit-db.com/"), strings.Contains(r, "packetstormsecurity.com/files/"):
			out |= exploitPOC
		}
	}
	return out
}

// recentID reports whether the year in a CVE id is this one or the one before.
func recentID(id string, now time.Time) bool {
	const prefix = "CVE-"
	if len(id) < len(prefix)+4 || !strings.EqualFold(id[:len(prefix)], prefix) {
		return false
	}
	year := 0
	for _, d := range id[len(prefix) : len(prefix)+4] {
		if d < '0' || d > '9' {
			return false
		}
		year = year*10 + int(d-'0')
	}
	return year >= now.UTC().Year()-1
}
