package prisma

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// complianceStats is Prisma's ComplianceStats over all images. Templates (PCI, HIPAA, …) are not kept here.
type complianceStats struct {
	IDs        []complianceID    `json:"ids"`
	Categories []complianceGroup `json:"categories"`
	Rules      []complianceRule  `json:"rules"`
	Templates  []complianceGroup `json:"templates"`
	Daily      []complianceDay   `json:"daily"`
}

// complianceID is Prisma's ComplianceIDStats: one check and on how many images it failed.
type complianceID struct {
	ID          int    `json:"id"`
	BenchmarkID string `json:"benchmarkID"`
	Category    string `json:"category"`
	Description string `json:"description"`
	Severity    string `json:"severity"`
	Type        string `json:"type"`
	Failed      int    `json:"failed"`
	Total       int    `json:"total"`

	rank tidewaiter.Severity
}

type complianceGroup struct {
	Name   string `json:"name"`
	Failed int    `json:"failed"`
	Total  int    `json:"total"`
}

type complianceRule struct {
	Name       string `json:"name"`
	PolicyType string `json:"policyType"`
	Failed     int    `json:"failed"`
	Total      int    `json:"total"`
}

type complianceDay struct {
	ID           string       `json:"_id"`
	Modified     time.Time    `json:"modified"`
	Distribution distribution `json:"distribution"`
}

func (s *server) getComplianceStats(w http.ResponseWriter, r *http.Request) error {
	return s.answerComplianceStats(w, r, false)
}

func (s *server) refreshComplianceStats(w http.ResponseWriter, r *http.Request) error {
	return s.answerComplianceStats(w, r, true)
}

func (s *server) answerComplianceStats(w http.ResponseWriter, r *http.Request, fresh bool) error {
	stats, err := s.complianceStats(r.Context(), queryOf(r.URL), fresh)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, stats)
	return nil
}

// downloadComplianceStats answers with the checks as a file. The columns are ours.
func (s *server) downloadComplianceStats(w http.ResponseWriter, r *http.Request) error {
	stats, err := s.complianceStats(r.Context(), queryOf(r.URL), false)
	if err != nil {
		return err
	}
	t := newTable(w, "compliance.csv", "Compliance ID", "Type", "Severity", "Category", "Benchmark ID", "Description", "Failed", "Total")
	for _, c := range stats.IDs {
		t.add(strconv.Itoa(c.ID), c.Type, c.Severity, c.Category, c.BenchmarkID, c.Description, strconv.Itoa(c.Failed), strconv.Itoa(c.Total))
	}
	return t.end()
}

// complianceStats counts what a query asks for.
func (s *server) complianceStats(ctx context.Context, q query, fresh bool) (*complianceStats, error) {
	c := &complianceCounter{rule: q.text("ruleName"), category: q.text("category"), ids: map[int]*complianceID{}, rules: map[string]*complianceRule{}}
	names := q.list("collections")
	slices.Sort(names)
	question := strings.Join([]string{c.rule, c.category, q.text("policyType"), q.text("template"), strings.Join(names, ",")}, "\x00")
	return s.compStats.get(ctx, question, fresh, func(ctx context.Context) (*complianceStats, error) {
		v, err := s.viewer(ctx, query{})
		if err != nil {
			return nil, err
		}
		c.viewer, c.only = v, v.named(names)
		// What is asked of other policies, or of templates, there is nothing of.
		if t := q.text("policyType"); (t == "" || t == compliancePolicy.name) && q.text("template") == "" {
			err = s.control.EachJudged(ctx, c.count)
		}
		return c.stats(s.now()), err
	})
}

// complianceCounter counts checks image by image.
type complianceCounter struct {
	*viewer
	only           []tidewaiter.Collection // nil is everything
	rule, category string

	ids    map[int]*complianceID
	rules  map[string]*complianceRule
	failed tidewaiter.Counts
}

// count counts the checks the rule that decides on an image asks for; all of them where no rule covers it.
func (c *complianceCounter) count(image *control.JudgedImage) {
	if image.Content == nil || c.only != nil && !slices.ContainsFunc(c.only, func(col tidewaiter.Collection) bool {
		return policy.Covers(&col, image.Names, image.Config.Labels)
	}) {
		return
	}
	rule := policy.RuleFor(c.policies[tidewaiter.PolicyCompliance], c.collections, image.Names, image.Config.Labels)
	if c.rule != "" && (rule == nil || rule.Name != c.rule) {
		return
	}
	for i := range image.Content.Checks {
		check := &image.Content.Checks[i]
		if rule != nil {
			if effect, listed := rule.Checks[check.ID]; !listed || check.Severity < effect.MinSeverity {
				continue
			}
		}
		if id := c.add(check); rule != nil && id {
			c.addRule(rule.Name, !check.Passed)
		}
	}
}

func (c *complianceCounter) add(check *tidewaiter.Check) bool {
	category := categoryOf(check)
	if c.category != "" && c.category != category {
		return false
	}
	id := c.ids[check.ID]
	if id == nil {
		shown := c.complianceIssue(check, &policy.Judged{})
		id = &complianceID{ID: check.ID, BenchmarkID: check.Section, Category: category, Description: shown.Title, Severity: shown.Severity,
			Type: shown.Type, rank: check.Severity}
		c.ids[check.ID] = id
	}
	id.Total++
	if !check.Passed {
		id.Failed++
		c.failed.Add(check.Severity)
	}
	return true
}

func (c *complianceCounter) addRule(name string, failed bool) {
	rule := c.rules[name]
	if rule == nil {
		rule = &complianceRule{Name: name, PolicyType: compliancePolicy.name}
		c.rules[name] = rule
	}
	rule.Total++
	if failed {
		rule.Failed++
	}
}

// categoryOf returns Prisma's category of a check.
func categoryOf(c *tidewaiter.Check) string {
	switch {
	case c.ID >= 9000:
		return "Custom"
	case c.ID == 455 || c.ID == 456:
		return "Prisma Cloud Labs"
	case c.ID >= 422 && c.ID <= 448:
		return "Twistlock Labs"
	case c.ID == 5041:
		return "CRI"
	}
	return "Docker"
}

func (c *complianceCounter) stats(now time.Time) *complianceStats {
	out := &complianceStats{IDs: []complianceID{}, Categories: []complianceGroup{}, Rules: []complianceRule{}, Templates: []complianceGroup{},
		Daily: []complianceDay{{ID: now.UTC().Format(time.DateOnly), Modified: now.UTC(), Distribution: distributionOf(c.failed, false)}}}
	groups := map[string]*complianceGroup{}
	for _, id := range c.ids {
		out.IDs = append(out.IDs, *id)
		g := groups[id.Category]
		if g == nil {
			g = &complianceGroup{Name: id.Category}
			groups[id.Category] = g
		}
		g.Failed, g.Total = g.Failed+id.Failed, g.Total+id.Total
	}
	for _, g := range groups {
		out.Categories = append(out.Categories, *g)
	}
	for _, r := range c.rules {
		out.Rules = append(out.Rules, *r)
	}
	slices.SortFunc(out.IDs, func(a, b complianceID) int { return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(out.Categories, func(a, b complianceGroup) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Rules, func(a, b complianceRule) int { return strings.Compare(a.Name, b.Name) })
	return out
}
