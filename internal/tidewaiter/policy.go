package tidewaiter

import (
	"encoding/json"
	"time"
)

// PolicyKind says what a policy judges.
type PolicyKind string

// The policy kinds.
const (
	PolicyVulnerability   PolicyKind = "vulnerability"
	PolicyCompliance      PolicyKind = "compliance"
	PolicyCIVulnerability PolicyKind = "ciVulnerability"
	PolicyCICompliance    PolicyKind = "ciCompliance"
)

// Policy is an ordered list of rules. The first enabled rule whose collections cover an image decides on it.
type Policy struct {
	Kind      PolicyKind
	Rules     []Rule
	UpdatedAt time.Time
}

// Rule judges the findings (vulnerability policies) or checks (compliance policies) of the images it covers.
type Rule struct {
	Name        string   `json:"name"`
	Disabled    bool     `json:"disabled,omitempty"`
	Collections []string `json:"collections"` // by name

	Alert       Threshold           `json:"alert"`
	Block       Threshold           `json:"block"`
	OnlyFixed   bool                `json:"onlyFixed,omitempty"`
	Grace       Grace               `json:"grace,omitzero"`
	Exceptions  []Exception         `json:"exceptions,omitempty"`
	RiskFactors []RiskFactorRule    `json:"riskFactors,omitempty"`
	Ecosystems  []EcosystemRule     `json:"ecosystems,omitempty"`
	ExcludeBase bool                `json:"excludeBase,omitempty"` // leave out what comes from a declared base image
	Licenses    LicenseRule         `json:"licenses,omitzero"`
	Checks      map[int]CheckEffect `json:"checks,omitempty"` // a check not listed is ignored
	AllChecks   bool                `json:"allChecks,omitempty"`

	Owner    string    `json:"owner,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
	// Declaration is the rule as its surface received it, for showing it again.
	Declaration json.RawMessage `json:"declaration,omitempty"`
}

// Threshold is the severity from which a rule acts. Prisma: an alert threshold of "off" (value 0) alerts on everything
// unless alerts are disabled; a block threshold counts only when enabled.
type Threshold struct {
	Enabled  bool     `json:"enabled"`
	Severity Severity `json:"severity"`
}

// Grace postpones blocking. Prisma: counted from the fix date, or from when the finding was first seen when the feed
// gives none.
type Grace struct {
	Days       int              `json:"days,omitempty"`       // for all severities
	BySeverity map[Severity]int `json:"bySeverity,omitempty"` // instead of Days, when not nil
}

// Exception treats one vulnerability, or all that carry a tag, differently from the thresholds.
type Exception struct {
	Vulnerability string    `json:"vulnerability,omitempty"`
	Tag           string    `json:"tag,omitempty"`
	Effect        Effect    `json:"effect"`
	Description   string    `json:"description,omitempty"`
	Expires       time.Time `json:"expires,omitzero"` // zero never does
}

// RiskFactorRule gives findings with a risk factor an effect of their own.
type RiskFactorRule struct {
	Factor RiskFactor `json:"factor"`
	Effect Effect     `json:"effect"`
}

// EcosystemRule gives packages of one kind thresholds of their own.
type EcosystemRule struct {
	Type  string    `json:"type"` // Prisma's package type: nodejs, gem, python, jar, package, …
	Alert Threshold `json:"alert"`
	Block Threshold `json:"block"`
}

// LicenseRule judges packages by their licences.
type LicenseRule struct {
	Alert      Threshold           `json:"alert,omitzero"`
	Block      Threshold           `json:"block,omitzero"`
	Severities map[string]Severity `json:"severities,omitempty"` // by SPDX id
}

// CheckEffect is what a rule does when a check fails.
type CheckEffect struct {
	Block       bool     `json:"block,omitempty"`
	MinSeverity Severity `json:"minSeverity,omitempty"`
}

// Collection is a named set of images that rules refer to. Patterns are as MatchPattern reads them; an empty list
// matches nothing, "*" everything.
type Collection struct {
	Name        string
	Description string
	Color       string
	Images      []string // against host/repository:tag, and repository:tag
	Labels      []string // against key:value
	Hosts       []string // against the names of workers' machines; none is every machine
	Owner       string
	System      bool // built in; cannot be changed or deleted
	Modified    time.Time
	// Declaration is the collection as its surface received it, for showing it again.
	Declaration json.RawMessage
}

// The built-in collections.
const (
	CollectionAll       = "All"
	CollectionOwnImages = "Prisma Cloud resources" // the scanning product's own images; Prisma's name is kept for its clients
)

// Effect is what a rule does about a finding, check or licence.
type Effect string

// The effects, weakest first. The empty effect means that no rule says anything.
const (
	EffectIgnore Effect = "ignore"
	EffectAlert  Effect = "alert"
	EffectBlock  Effect = "block"
)

// Verdict is what policy makes of an Image.
type Verdict struct {
	Effect  Effect          `json:"effect"`          // the strongest effect of any reason; "ignore" when there is none
	Rules   []string        `json:"rules,omitempty"` // the rules that decided: vulnerability, then compliance
	Alerts  int             `json:"alerts"`
	Blocks  int             `json:"blocks"`
	Reasons []VerdictReason `json:"reasons,omitempty"` // the gravest, at most MaxVerdictReasons
}

// MaxVerdictReasons is how many reasons a stored verdict names; Alerts and Blocks count all.
const MaxVerdictReasons = 10

// VerdictReason is one finding, check or licence a rule acted on.
type VerdictReason struct {
	Effect        Effect   `json:"effect"`
	Rule          string   `json:"rule"`
	Vulnerability string   `json:"vulnerability,omitempty"`
	Package       string   `json:"package,omitempty"` // name version
	FixedIn       string   `json:"fixedIn,omitempty"` // of the vulnerability: versions that mend it
	Check         int      `json:"check,omitempty"`
	License       string   `json:"license,omitempty"`
	Severity      Severity `json:"severity"`
	Why           string   `json:"why"`
	GraceDays     int      `json:"graceDays,omitempty"` // days left before this blocks
}

// RiskFactor is a circumstance that makes a vulnerability weigh more. The spelling is Prisma's.
type RiskFactor string

// The risk factors that can be told from an image at rest and the advisories.
const (
	RiskCritical       RiskFactor = "Critical severity"
	RiskHigh           RiskFactor = "High severity"
	RiskMedium         RiskFactor = "Medium severity"
	RiskHasFix         RiskFactor = "Has fix"
	RiskRemote         RiskFactor = "Remote execution"
	RiskDoSLow         RiskFactor = "DoS - Low"
	RiskDoSHigh        RiskFactor = "DoS - High"
	RiskRecent         RiskFactor = "Recent vulnerability"
	RiskExploitWild    RiskFactor = "Exploit exists - in the wild"
	RiskExploitPOC     RiskFactor = "Exploit exists - POC"
	RiskLowComplexity  RiskFactor = "Attack complexity: low"
	RiskNetwork        RiskFactor = "Attack vector: network"
	RiskListeningPorts RiskFactor = "Listening ports"
	RiskRoot           RiskFactor = "Container is running as root"
	RiskSensitive      RiskFactor = "Sensitive information"
)
