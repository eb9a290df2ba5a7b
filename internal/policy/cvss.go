package policy

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// cvss is what risk factors need of a CVSS vector of any version.
type cvss struct {
	known            bool
	network          bool
	lowComplexity    bool
	availability     byte // H, L, N; of version 2 C, P, N
	availabilityOnly bool // no impact on confidentiality and integrity
	exploit          byte // maturity: A attacked (v4), H, F, P; 0 when not said
}

// parseCVSS reads the newest vector there is. What is not a vector, or not one that is known, says nothing.
func parseCVSS(v *tidewaiter.Vulnerability) cvss {
	vector := v.Vector
	if vector == "" {
		vector = v.VectorV2
	}
	if vector == "" || len(vector) > 512 {
		return cvss{}
	}
	var c cvss
	var confidentiality, integrity byte
	vector = strings.Trim(vector, "()")
	for vector != "" {
		var metric string
		metric, vector, _ = strings.Cut(vector, "/")
		name, value, ok := strings.Cut(metric, ":")
		if !ok || value == "" {
			continue
		}
		switch name {
		case "AV":
			c.known = true
			c.network = value == "N"
		case "AC":
			c.lowComplexity = value == "L"
		case "C", "VC":
			confidentiality = value[0]
		case "I", "VI":
			integrity = value[0]
		case "A", "VA":
			c.availability = value[0]
		case "E":
			c.exploit = exploitMaturity(value)
		}
	}
	c.availabilityOnly = confidentiality == 'N' && integrity == 'N' && c.availability != 'N' && c.availability != 0
	return c
}

// exploitMaturity reads the exploit metric: "POC" of version 2 and "P" mean the same, "U" (unproven) nothing.
func exploitMaturity(value string) byte {
	switch value {
	case "A", "H", "F", "P":
		return value[0]
	case "POC":
		return 'P'
	}
	return 0
}

func (c cvss) factors() Factors {
	var out Factors
	if c.network {
		out |= network
	}
	if c.lowComplexity {
		out |= lowComplexity
	}
	switch c.exploit {
	case 'A':
		out |= exploitWild
	case 'H', 'F', 'P':
		out |= exploitPOC
	}
	return out
}
