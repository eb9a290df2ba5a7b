package api

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// parameters are the names an operation knows in the query. A misspelt one would have no effect and nobody would know. Huma can
// refuse those too, but does not say which there are.
type parameters struct{ names []string }

// read takes the names from the document, where the operation has just been put.
func (p *parameters) read(doc *huma.OpenAPI, o *huma.Operation) {
	item := doc.Paths[o.Path]
	for _, described := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
		if described == nil || described.OperationID != o.OperationID {
			continue
		}
		for _, param := range described.Parameters {
			if param.In == "query" {
				p.names = append(p.names, param.Name)
			}
		}
	}
	slices.Sort(p.names)
}

// check reports the first parameter of a query that is not known, in the order of their names, as an ErrInvalid.
func (p *parameters) check(query string) error {
	given, err := url.ParseQuery(query)
	if err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the query cannot be read: %w", err).WithFix("encode what is not a letter or a digit with %%")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(p.names, name) {
			continue
		}
		e := tidewaiter.Invalid("query."+name, "there is no parameter query.%s", name)
		if len(p.names) == 0 {
			return e.WithFix("leave it out: none is known here")
		}
		return e.WithFix("known are %s", strings.Join(p.names, ", "))
	}
	return nil
}

// refuseUnknown keeps out requests with a parameter the operation does not know.
func (s *server) refuseUnknown(known *parameters) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		if err := known.check(r.URL.RawQuery); err != nil {
			writeProblem(w, s.problem(r.Context(), err))
			return
		}
		next(ctx)
	}
}
