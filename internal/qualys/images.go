package qualys

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxLookedAt bounds how many images a filter that the store cannot carry out alone looks at for one answer.
const maxLookedAt = 20_000

// lookStep is how many of them are read at a time.
const lookStep = 1000

// getImages lists images. Qualys: sorted by created:desc unless asked otherwise; nothing found is 204 without a body.
func (s *server) getImages(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	page, count, err := s.imagePage(r.Context(), q)
	if err != nil {
		return err
	}
	data := make([]listedImage, len(page))
	for i, row := range page {
		data[i] = listedImageOf(row)
	}
	writeList(w, q.filtered, data, count)
	return nil
}

// imageSorts are the orders the store has.
var imageSorts = map[string]control.ImageFilter{
	"":        {},
	"created": {Asc: true},
	"updated": {Sort: "updated", Asc: true},
}

// imagePage returns the images of a page and how many there are in all. Where the database can carry the whole filter out, it
// does; otherwise the images it narrows the filter down to are looked at one by one.
func (s *server) imagePage(ctx context.Context, q query) ([]*control.ImageRow, int, error) {
	order, ok := imageSorts[strings.ToLower(q.sort)]
	if !ok {
		return nil, 0, unsortable(q.sort, "created, updated")
	}
	c, err := s.choose(ctx, q.filter)
	if err != nil {
		return nil, 0, err
	}
	f := control.ImageFilter{Sort: order.Sort, Asc: order.Asc && !q.desc, Where: c.where}
	if !c.exact {
		var page []*control.ImageRow
		count := 0
		err := s.lookAt(ctx, f, c, func(row *control.ImageRow) {
			if count >= q.offset() && len(page) < q.size {
				page = append(page, row)
			}
			count++
		})
		return page, count, err
	}
	count, err := s.control.CountImages(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	f.Page = control.Page{Limit: q.size, Offset: q.offset()}
	page, _, err := s.control.Images(ctx, f)
	return page, count, err
}

// choice is a filter of images, ready to use.
type choice struct {
	sha   string                       // every image has it; "" when the filter asks for none
	where *control.ImageWhere          // what the database carries out; nil when there is nothing to carry out
	exact bool                         // that is the whole filter
	holds func(*control.ImageRow) bool // the filter itself
}

// choose reads a filter of images.
func (s *server) choose(ctx context.Context, e qql.Expr) (choice, error) {
	holds, err := qql.Compile(e, imageTokens, s.now())
	if err != nil {
		return choice{}, err
	}
	n, err := s.narrow(ctx, e)
	c := choice{sha: shaIn(e), exact: n.exact}
	if n.where.All == nil || len(n.where.All) > 0 { // an empty filter parses to no conditions
		c.where = &n.where
	}
	uris := map[string]string{}
	if err == nil && !n.exact && mentions(e, "registryUri") {
		err = s.eachRegistry(ctx, func(l listing) { uris[l.ID] = trimSlash(l.URL) })
	}
	c.holds = func(row *control.ImageRow) bool { return holds(seen{row, uris}) }
	return c, err
}

// mentions reports whether a filter has a token.
func mentions(e qql.Expr, token string) bool {
	has := func(e qql.Expr) bool { return mentions(e, token) }
	switch e := e.(type) {
	case qql.And:
		return slices.ContainsFunc(e, has)
	case qql.Or:
		return slices.ContainsFunc(e, has)
	case qql.Not:
		return has(e.Expr)
	case qql.Term:
		return strings.EqualFold(e.Token, token)
	}
	return false
}

// lookAt hands over the images a filter lets through, in order. An image named by its sha is looked up at once.
func (s *server) lookAt(ctx context.Context, f control.ImageFilter, c choice, yield func(*control.ImageRow)) error {
	if c.sha != "" {
		rows, err := s.lookUp(ctx, c.sha)
		for _, row := range rows {
			if c.holds(row) {
				yield(row)
			}
		}
		return err
	}
	f.Limit = lookStep
	for lookedAt := 0; ; {
		rows, next, err := s.control.Images(ctx, f)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if c.holds(row) {
				yield(row)
			}
		}
		if lookedAt += len(rows); next == "" {
			return nil
		}
		if lookedAt >= maxLookedAt {
			return tidewaiter.Invalid("filter", "it would have to look at more than %d images", maxLookedAt).
				WithFix("narrow it: AND repo.repository, repo.registry, registryUuid, sha or updated>N; or use images/list")
		}
		f.After = next
	}
}

// shaIn returns the sha every image of a filter has, "" when it asks for none.
func shaIn(e qql.Expr) string {
	parts, ok := e.(qql.And)
	if !ok {
		parts = qql.And{e}
	}
	for _, part := range parts {
		t, ok := part.(qql.Term)
		if !ok || !strings.EqualFold(t.Token, "sha") || len(t.Any) != 1 {
			continue
		}
		if sha := withoutAlgorithm(t.Any[0].Text); validSHA.MatchString(sha) {
			return sha
		}
	}
	return ""
}
