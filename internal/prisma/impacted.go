package prisma

import (
	"context"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// getImpacted answers with the images a rule decides on; without ruleName with those any rule does. It is the first rule
// whose collections cover an image under any of its names that decides, so a rule below another has what that one leaves.
func (s *server) getImpacted(t policyType) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, q := r.Context(), queryOf(r.URL)
		p, err := q.page()
		if err != nil {
			return err
		}
		v, err := s.viewer(ctx, q)
		if err != nil {
			return err
		}
		decides, err := s.decides(ctx, v, v.policies[t.kind], q.text("ruleName"))
		if err != nil {
			return err
		}
		rows, total, err := s.matching(ctx, control.ResultFilter{Judged: true, Desc: q.flag("reverse"), Sort: sortKeys[q.text("sort")]}, p, decides)
		if err == nil {
			err = s.addTypes(ctx, v, rows)
		}
		if err != nil {
			return err
		}
		totalCount(w, total)
		return writeList(w, ahead(ctx, rows, v.result))
	}
}

// decides returns which rows are of images that a rule decides on. All names of an image count, so they are gathered first.
func (s *server) decides(ctx context.Context, v *viewer, p *tidewaiter.Policy, rule string) (func(*control.Row) bool, error) {
	names := map[int64][]string{}
	for row, err := range s.everyRow(ctx, control.ResultFilter{Judged: true}) {
		if err != nil {
			return nil, err
		}
		if row.Image != nil {
			names[row.Image.ID] = append(names[row.Image.ID], row.Tag.Reference())
		}
	}
	known := map[int64]bool{}
	return func(row *control.Row) bool {
		if row.Image == nil {
			return false
		}
		in, ok := known[row.Image.ID]
		if !ok {
			first := policy.RuleFor(p, v.collections, names[row.Image.ID], labelsOf(row.Image))
			in = first != nil && (rule == "" || first.Name == rule)
			known[row.Image.ID] = in
		}
		return in
	}, nil
}
