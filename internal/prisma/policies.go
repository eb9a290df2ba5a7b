package prisma

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// policyType is one policy as this API names it.
type policyType struct {
	kind tidewaiter.PolicyKind
	name string
}

var (
	vulnerabilityPolicy = policyType{tidewaiter.PolicyVulnerability, "containerVulnerability"}
	compliancePolicy    = policyType{tidewaiter.PolicyCompliance, "containerCompliance"}

	// Policies for images on their way to a registry. They are kept and shown; what is in a registry they do not judge.
	ciVulnerabilityPolicy = policyType{tidewaiter.PolicyCIVulnerability, "ciImagesVulnerability"}
	ciCompliancePolicy    = policyType{tidewaiter.PolicyCICompliance, "ciImagesCompliance"}
)

// shownPolicy is Prisma's Policy.
type shownPolicy struct {
	ID         string      `json:"_id"`
	PolicyType string      `json:"policyType"`
	Rules      []shownRule `json:"rules"`
}

// shownRule is a rule with its collections in full.
type shownRule struct {
	policyRule
	Collections []collection `json:"collections"`
}

func (s *server) getPolicy(t policyType) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.policy(r.Context(), t.kind)
		if err != nil {
			return err
		}
		collections, err := s.collections(r.Context())
		if err != nil {
			return err
		}
		out := shownPolicy{ID: t.name, PolicyType: t.name, Rules: make([]shownRule, len(p.Rules))}
		for i := range p.Rules {
			if out.Rules[i], err = showRule(&p.Rules[i], collections); err != nil {
				return err
			}
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	}
}

// putPolicy replaces all rules of a policy, in their order; {} removes them.
func (s *server) putPolicy(t policyType) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		var body struct {
			PolicyType string       `json:"policyType"`
			Rules      []policyRule `json:"rules"`
		}
		if err := decodeBody(w, r, &body); err != nil {
			return err
		}
		if body.PolicyType != "" && body.PolicyType != t.name {
			return tidewaiter.Invalid("policyType", "%q is not the policy of this path", cut(body.PolicyType, 40)).WithFix("send %s", t.name)
		}
		collections, err := s.collections(ctx)
		if err != nil {
			return err
		}
		p := &tidewaiter.Policy{Kind: t.kind, UpdatedAt: s.now(), Rules: make([]tidewaiter.Rule, len(body.Rules))}
		for i := range body.Rules {
			rule := &body.Rules[i]
			rule.Modified, rule.Owner = s.now().UTC(), control.ActorFrom(ctx)
			if p.Rules[i], err = declareRule(rule, collections); err != nil {
				return within(fmt.Sprintf("rules[%d]", i), err)
			}
		}
		if err := policy.Validate(p, collections); err != nil {
			return err
		}
		return s.control.PutPolicy(ctx, p)
	}
}

// declareRule translates a rule and keeps it as it was sent.
func declareRule(r *policyRule, collections map[string]tidewaiter.Collection) (tidewaiter.Rule, error) {
	for _, c := range r.Collections {
		if _, known := collections[c.Name]; known {
			continue
		}
		if err := checkCollectionName(c.Name); err != nil {
			return tidewaiter.Rule{}, err
		}
		return tidewaiter.Rule{}, tidewaiter.Invalid("collections", "collection <%s> was not found", c.Name)
	}
	out, err := r.domain()
	if err != nil {
		return out, err
	}
	kept := *r
	if kept.Condition.Vulnerabilities == nil {
		kept.Condition.Vulnerabilities = []checkCondition{}
	}
	out.Declaration, err = json.Marshal(kept)
	return out, err
}

// showRule shows a rule as it was sent; one that came from elsewhere is described.
func showRule(r *tidewaiter.Rule, collections map[string]tidewaiter.Collection) (shownRule, error) {
	out := shownRule{policyRule: describeRule(r), Collections: []collection{}}
	if len(r.Declaration) > 0 {
		out.policyRule = policyRule{}
		if err := json.Unmarshal(r.Declaration, &out.policyRule); err != nil {
			return out, tidewaiter.Errorf(tidewaiter.ErrBug, "declaration of rule %s: %w", r.Name, err)
		}
	}
	for _, name := range r.Collections {
		c, ok := collections[name]
		if !ok {
			c = tidewaiter.Collection{Name: name}
		}
		shown, err := shownCollection(&c)
		if err != nil {
			return out, err
		}
		out.Collections = append(out.Collections, shown)
	}
	return out, nil
}

// describeRule translates a rule that was not declared here.
func describeRule(r *tidewaiter.Rule) policyRule {
	out := policyRule{
		Name: r.Name, Owner: r.Owner, Modified: r.Modified.UTC(), Disabled: r.Disabled, Effect: "alert", OnlyFixed: r.OnlyFixed,
		AllCompliance: r.AllChecks, ExcludeBaseImageVuln: r.ExcludeBase, GraceDays: r.Grace.Days,
		AlertThreshold: alertThreshold{Disabled: !r.Alert.Enabled, Value: scoreOf(r.Alert.Severity)},
		BlockThreshold: blockThreshold{Enabled: r.Block.Enabled, Value: scoreOf(r.Block.Severity)},
		Condition:      ruleCondition{Vulnerabilities: []checkCondition{}},
	}
	if by := r.Grace.BySeverity; by != nil {
		out.GraceDaysPolicy = graceDays{Enabled: true, Low: by[tidewaiter.SeverityLow], Medium: by[tidewaiter.SeverityMedium],
			High: by[tidewaiter.SeverityHigh], Critical: by[tidewaiter.SeverityCritical]}
	}
	for _, e := range r.Exceptions {
		x := exception{ID: e.Vulnerability, Name: e.Tag, Effect: string(e.Effect), Description: e.Description,
			Expiration: expiration{Enabled: !e.Expires.IsZero(), Date: e.Expires.UTC()}}
		if e.Tag != "" {
			out.Tags = append(out.Tags, x)
		} else {
			out.CVERules = append(out.CVERules, x)
		}
	}
	for _, f := range r.RiskFactors {
		out.RiskFactorsEffects = append(out.RiskFactorsEffects, riskFactorEffect{RiskFactor: string(f.Factor), Effect: string(f.Effect)})
	}
	for id, e := range r.Checks {
		out.Condition.Vulnerabilities = append(out.Condition.Vulnerabilities, checkCondition{ID: id, Block: e.Block})
	}
	slices.SortFunc(out.Condition.Vulnerabilities, func(a, b checkCondition) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// policy returns a policy; the one of a fresh installation while none was stored.
func (s *server) policy(ctx context.Context, kind tidewaiter.PolicyKind) (*tidewaiter.Policy, error) {
	p, err := s.control.Policy(ctx, kind)
	if tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		return p, err
	}
	defaults, _ := policy.Defaults()
	for i := range defaults {
		if defaults[i].Kind == kind {
			return &defaults[i], nil
		}
	}
	return &tidewaiter.Policy{Kind: kind}, nil
}
