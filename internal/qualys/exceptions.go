package qualys

import (
	"context"
	"net/http"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// excepted is a finding that a rule's exception leaves out.
type excepted struct {
	finding   policy.Finding
	rule      string
	exception *tidewaiter.Exception
}

// exceptionsOf returns the findings of an image that the policy's exceptions ignore.
func (s *server) exceptionsOf(ctx context.Context, r *tidewaiter.Result) ([]excepted, error) {
	p, err := s.control.Policy(ctx, tidewaiter.PolicyVulnerability)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.Rules, func(rule tidewaiter.Rule) bool { return len(rule.Exceptions) > 0 }) {
		return nil, nil
	}
	list, err := s.control.Collections(ctx)
	if err != nil {
		return nil, err
	}
	in := policy.Input{Vulnerability: p, Collections: map[string]tidewaiter.Collection{}, Labels: r.Image.Config.Labels,
		Findings: policy.Findings(r), Now: s.now()}
	for _, c := range list {
		in.Collections[c.Name] = *c
	}
	for i := range r.Tags {
		in.Names = append(in.Names, r.Tags[i].Reference())
	}
	var out []excepted
	for i, j := range policy.Evaluate(in).Findings {
		if j.Cause == policy.CauseException && j.Effect == tidewaiter.EffectIgnore {
			out = append(out, excepted{in.Findings[i], j.Rule, j.Exception})
		}
	}
	return out, nil
}

// withoutExcepted returns a result without the findings that exceptions leave out.
func (s *server) withoutExcepted(ctx context.Context, r *tidewaiter.Result) (*tidewaiter.Result, error) {
	out, err := s.exceptionsOf(ctx, r)
	if err != nil || len(out) == 0 {
		return r, err
	}
	gone := map[tidewaiter.FindingKey]bool{}
	for _, e := range out {
		if e.finding.Package != nil {
			gone[tidewaiter.FindingKey{PackageID: e.finding.Package.ID, Vulnerability: e.finding.Vulnerability}] = true
		}
	}
	left := *r
	left.Findings = make(map[int64][]tidewaiter.Finding, len(r.Findings))
	for id, list := range r.Findings {
		for _, f := range list {
			if !gone[tidewaiter.FindingKey{PackageID: id, Vulnerability: f.Vulnerability}] {
				left.Findings[id] = append(left.Findings[id], f)
			}
		}
	}
	return &left, nil
}

// shownException is one exception that applies to an image. Qualys publishes no fields; ours.
type shownException struct {
	Name          string   `json:"name"` // of the rule
	Vulnerability *string  `json:"vulnerability"`
	Tag           *string  `json:"tag"`
	Reason        *string  `json:"reason"`
	Expires       millis   `json:"expires"`
	QIDs          []int    `json:"qids"`
	CVEIDs        []string `json:"cveids"`
}

// imageExceptions is how exceptions are answered.
type imageExceptions struct {
	Data   []shownException `json:"data"`
	Count  int              `json:"count"`
	Groups *struct{}        `json:"groups"`
}

// getExceptions lists the exceptions of the policy that leave something of an image out.
func (s *server) getExceptions(w http.ResponseWriter, r *http.Request) error {
	_, result, err := s.resultOf(r)
	if err != nil {
		return err
	}
	found, err := s.exceptionsOf(r.Context(), result)
	if err != nil {
		return err
	}
	var names []string
	for _, f := range policy.Findings(result) {
		names = append(names, f.Vulnerability)
	}
	qids := qidsOf(names)
	out := imageExceptions{Data: []shownException{}}
	at := map[*tidewaiter.Exception]int{}
	for _, e := range found {
		i, known := at[e.exception]
		if !known {
			i = len(out.Data)
			at[e.exception] = i
			out.Data = append(out.Data, shownException{Name: e.rule, Vulnerability: orNull(e.exception.Vulnerability),
				Tag: orNull(e.exception.Tag), Reason: orNull(e.exception.Description), Expires: millis{e.exception.Expires},
				QIDs: []int{}, CVEIDs: []string{}})
		}
		if d := &out.Data[i]; !slices.Contains(d.CVEIDs, e.finding.Vulnerability) {
			d.QIDs, d.CVEIDs = append(d.QIDs, qids[e.finding.Vulnerability]), append(d.CVEIDs, e.finding.Vulnerability)
		}
	}
	out.Count = len(out.Data)
	writeJSON(w, http.StatusOK, out)
	return nil
}
