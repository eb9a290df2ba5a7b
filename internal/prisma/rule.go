package prisma

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// policyRule is Prisma's PolicyRule as it is sent, kept and shown. Collections are kept by name and shown in full.
type policyRule struct {
	Modified             time.Time          `json:"modified"`
	Owner                string             `json:"owner"`
	Name                 string             `json:"name"`
	PreviousName         string             `json:"previousName"`
	Notes                string             `json:"notes,omitempty"`
	Disabled             bool               `json:"disabled,omitempty"`
	Effect               string             `json:"effect,omitempty"` // cosmetic; may be a list such as "alert, block"
	Collections          []namedCollection  `json:"collections"`
	Action               []string           `json:"action,omitzero"`
	Principal            []string           `json:"principal,omitzero"`
	Group                []string           `json:"group,omitzero"`
	Condition            ruleCondition      `json:"condition"`
	AlertThreshold       alertThreshold     `json:"alertThreshold"`
	BlockThreshold       blockThreshold     `json:"blockThreshold"`
	OnlyFixed            bool               `json:"onlyFixed,omitempty"`
	Verbose              bool               `json:"verbose,omitempty"`
	AllCompliance        bool               `json:"allCompliance,omitempty"`
	AuditAllowed         bool               `json:"auditAllowed,omitempty"`
	BlockMsg             string             `json:"blockMsg,omitempty"`
	CreatePR             bool               `json:"createPR,omitempty"`
	CVERules             []exception        `json:"cveRules,omitzero"`
	Tags                 []exception        `json:"tags,omitzero"`
	RiskFactorsEffects   []riskFactorEffect `json:"riskFactorsEffects,omitzero"`
	PkgTypesThresholds   []typeThreshold    `json:"pkgTypesThresholds,omitzero"`
	ExcludeBaseImageVuln bool               `json:"excludeBaseImageVulns,omitempty"`
	GraceDays            int                `json:"graceDays"`
	GraceDaysPolicy      graceDays          `json:"graceDaysPolicy"`
	License              licenseConfig      `json:"license"`
}

// namedCollection is a collection as a rule refers to it; the rest of what is sent with the name is ignored.
type namedCollection struct {
	Name string `json:"name"`
}

type ruleCondition struct {
	Readonly        bool             `json:"readonly"`
	Device          string           `json:"device"`
	Vulnerabilities []checkCondition `json:"vulnerabilities"`
}

type checkCondition struct {
	ID          int             `json:"id"`
	Block       bool            `json:"block"`
	MinSeverity json.RawMessage `json:"minSeverity,omitzero"` // a name, or a number as thresholds have
}

type alertThreshold struct {
	Disabled bool  `json:"disabled"`
	Value    score `json:"value"`
}

type blockThreshold struct {
	Enabled bool  `json:"enabled"`
	Value   score `json:"value"`
}

// exception is Prisma's CVERule, with an id, or TagRule, with a name.
type exception struct {
	ID          string     `json:"id,omitempty"`
	Name        string     `json:"name,omitempty"`
	Effect      string     `json:"effect"`
	Description string     `json:"description"`
	Expiration  expiration `json:"expiration"`
}

type expiration struct {
	Enabled bool      `json:"enabled"`
	Date    time.Time `json:"date"`
}

type riskFactorEffect struct {
	RiskFactor string `json:"riskFactor"`
	Effect     string `json:"effect"`
}

type typeThreshold struct {
	Type           string         `json:"type"`
	AlertThreshold alertThreshold `json:"alertThreshold"`
	BlockThreshold blockThreshold `json:"blockThreshold"`
}

type graceDays struct {
	Enabled  bool `json:"enabled,omitempty"`
	Low      int  `json:"low,omitempty"`
	Medium   int  `json:"medium,omitempty"`
	High     int  `json:"high,omitempty"`
	Critical int  `json:"critical,omitempty"`
}

type licenseConfig struct {
	AlertThreshold blockThreshold `json:"alertThreshold"` // enabled and value, as for blocking
	BlockThreshold blockThreshold `json:"blockThreshold"`
	Critical       []string       `json:"critical,omitzero"`
	High           []string       `json:"high,omitzero"`
	Medium         []string       `json:"medium,omitzero"`
	Low            []string       `json:"low,omitzero"`
}

// score is a threshold's value. Prisma: 0 is off, 1 low, 4 medium, 7 high, 9 critical. It is a whole number on the wire,
// because Terraform decodes an int; 4.0 is understood.
type score int

// UnmarshalJSON implements json.Unmarshaler.
func (s *score) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f != float64(int(f)) || f < 0 || f > 9 {
		return tidewaiter.Invalid("value", "%q is not a threshold", cut(string(b), 40)).
			WithFix("0 is off, 1 low, 4 medium, 7 high, 9 critical")
	}
	*s = score(f)
	return nil
}

// severity returns the severity a threshold's value stands for; SeverityUnknown for 0.
func (s score) severity() tidewaiter.Severity { return tidewaiter.SeverityOfScore(float64(s)) }

// scoreOf returns the value that stands for a severity.
func scoreOf(s tidewaiter.Severity) score {
	switch s {
	case tidewaiter.SeverityCritical:
		return 9
	case tidewaiter.SeverityHigh:
		return 7
	case tidewaiter.SeverityMedium:
		return 4
	case tidewaiter.SeverityLow, tidewaiter.SeverityNegligible:
		return 1
	}
	return 0
}

func (t alertThreshold) domain() tidewaiter.Threshold {
	return tidewaiter.Threshold{Enabled: !t.Disabled, Severity: t.Value.severity()}
}

// domain: a value of 0 is off whether or not it is enabled.
func (t blockThreshold) domain() tidewaiter.Threshold {
	return tidewaiter.Threshold{Enabled: t.Enabled && t.Value > 0, Severity: t.Value.severity()}
}

// domain translates the rule. What it does not understand, policy.Validate finds.
func (r *policyRule) domain() (tidewaiter.Rule, error) {
	out := tidewaiter.Rule{
		Name: r.Name, Disabled: r.Disabled, Alert: r.AlertThreshold.domain(), Block: r.BlockThreshold.domain(),
		OnlyFixed: r.OnlyFixed, ExcludeBase: r.ExcludeBaseImageVuln, AllChecks: r.AllCompliance, Owner: r.Owner,
		Modified: r.Modified, Grace: r.grace(), Licenses: r.License.domain(), Exceptions: r.exceptions(),
	}
	for _, c := range r.Collections {
		out.Collections = append(out.Collections, c.Name)
	}
	for _, f := range r.RiskFactorsEffects {
		rules, err := f.domain()
		if err != nil {
			return out, err
		}
		out.RiskFactors = append(out.RiskFactors, rules...)
	}
	for _, t := range r.PkgTypesThresholds {
		out.Ecosystems = append(out.Ecosystems, tidewaiter.EcosystemRule{
			Type: t.Type, Alert: t.AlertThreshold.domain(), Block: t.BlockThreshold.domain(),
		})
	}
	for i, c := range r.Condition.Vulnerabilities {
		lowest, err := c.lowest()
		if err != nil {
			return out, within("condition.vulnerabilities["+strconv.Itoa(i)+"]", err)
		}
		if out.Checks == nil {
			out.Checks = map[int]tidewaiter.CheckEffect{}
		}
		out.Checks[c.ID] = tidewaiter.CheckEffect{Block: c.Block, MinSeverity: lowest}
	}
	return out, nil
}

// lowest returns the severity from which a check counts.
func (c *checkCondition) lowest() (tidewaiter.Severity, error) {
	if len(c.MinSeverity) == 0 || string(c.MinSeverity) == "null" {
		return tidewaiter.SeverityUnknown, nil
	}
	var name string
	if json.Unmarshal(c.MinSeverity, &name) == nil {
		s, err := tidewaiter.ParseSeverity(name)
		if err != nil {
			return s, tidewaiter.Invalid("minSeverity", "unknown severity %q", cut(name, 40))
		}
		return s, nil
	}
	var value score
	if err := value.UnmarshalJSON(c.MinSeverity); err != nil {
		return tidewaiter.SeverityUnknown, tidewaiter.Invalid("minSeverity", "%s is not a severity", cut(string(c.MinSeverity), 40))
	}
	return value.severity(), nil
}

func (r *policyRule) grace() tidewaiter.Grace {
	if g := r.GraceDaysPolicy; g.Enabled {
		return tidewaiter.Grace{BySeverity: map[tidewaiter.Severity]int{
			tidewaiter.SeverityLow: g.Low, tidewaiter.SeverityMedium: g.Medium, tidewaiter.SeverityHigh: g.High,
			tidewaiter.SeverityCritical: g.Critical,
		}}
	}
	return tidewaiter.Grace{Days: r.GraceDays}
}

func (r *policyRule) exceptions() []tidewaiter.Exception {
	var out []tidewaiter.Exception
	add := func(list []exception, tag bool) {
		for _, e := range list {
			x := tidewaiter.Exception{Effect: tidewaiter.Effect(e.Effect), Description: e.Description}
			if tag {
				x.Tag = e.Name
			} else {
				x.Vulnerability = e.ID
			}
			if e.Expiration.Enabled {
				x.Expires = e.Expiration.Date
			}
			out = append(out, x)
		}
	}
	add(r.CVERules, false)
	add(r.Tags, true)
	return out
}

// riskFactors are all of Prisma's. Those about running containers are accepted and never occur here.
const riskFactors = "|Critical severity|High severity|Medium severity|Has fix|Remote execution|DoS - Low|DoS - High|" +
	"Recent vulnerability|Exploit exists - in the wild|Exploit exists - POC|Attack complexity: low|Attack vector: network|" +
	"Reachable from the internet|Listening ports|Container is running as root|No mandatory security profile applied|" +
	"Running as privileged container|Package in use|Sensitive information|Root mount|Runtime socket|Host access|"

// domain translates one risk factor's effect. Older versions know one "DoS" where there are two now.
func (f *riskFactorEffect) domain() ([]tidewaiter.RiskFactorRule, error) {
	effect := tidewaiter.Effect(f.Effect)
	if f.RiskFactor == "DoS" {
		return []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskDoSLow, Effect: effect}, {Factor: tidewaiter.RiskDoSHigh, Effect: effect}}, nil
	}
	if f.RiskFactor == "" || strings.Contains(f.RiskFactor, "|") || !strings.Contains(riskFactors, "|"+f.RiskFactor+"|") {
		return nil, tidewaiter.Invalid("riskFactorsEffects", "unknown risk factor %q", cut(f.RiskFactor, 60))
	}
	return []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskFactor(f.RiskFactor), Effect: effect}}, nil
}

func (l *licenseConfig) domain() tidewaiter.LicenseRule {
	out := tidewaiter.LicenseRule{Alert: l.AlertThreshold.domain(), Block: l.BlockThreshold.domain()}
	for _, g := range []struct {
		names    []string
		severity tidewaiter.Severity
	}{
		{l.Low, tidewaiter.SeverityLow}, {l.Medium, tidewaiter.SeverityMedium},
		{l.High, tidewaiter.SeverityHigh}, {l.Critical, tidewaiter.SeverityCritical},
	} {
		for _, name := range g.names {
			if out.Severities == nil {
				out.Severities = map[string]tidewaiter.Severity{}
			}
			out.Severities[name] = g.severity
		}
	}
	return out
}
