package qualys

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// listing is a registry with what its filter and sort tokens ask about.
type listing struct {
	*tidewaiter.Registry
	declared
}

// registryTokens are the tokens of registry filters.
var registryTokens = []qql.Field[listing]{
	{Name: "registryUuid", ID: true, Texts: func(l listing) []string { return []string{l.ID} }},
	{Name: "registryName", Texts: func(l listing) []string { return []string{nameOf(l.Registry)} }},
	{Name: "registryUri", Texts: func(l listing) []string { return []string{l.URL, trimSlash(l.RegistryURI), l.Host()} }, Clean: trimSlash},
	{Name: "registryType", ID: true, Texts: func(l listing) []string { return []string{l.RegistryType} }},
	{Name: "dockerHubOrg", ID: true, Texts: func(l listing) []string { return []string{l.DockerHubOrg} }},
	{Name: "awsAccountId", ID: true, Texts: func(l listing) []string { return []string{l.awsPart().AccountID} }},
	{Name: "awsRegion", ID: true, Texts: func(l listing) []string { return []string{l.awsPart().Region} }},
	{Name: "created", Times: func(l listing) time.Time { return l.CreatedAt }},
	{Name: "updated", Times: func(l listing) time.Time { return l.UpdatedAt }},
}

func (d declared) awsPart() awsRequest {
	if d.AWS == nil {
		return awsRequest{}
	}
	return *d.AWS
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }

// getRegistries lists registries, wherever they were declared. Qualys: an empty list is 204 without a body where there is a
// filter.
func (s *server) getRegistries(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	page, count, err := s.registryPage(ctx, q)
	if err != nil {
		return err
	}
	summaries, kept, err := s.summaries(ctx, page)
	if err != nil {
		return err
	}
	data := make([]listedRegistry, len(page))
	for i := range page {
		data[i] = listed(summaries[i], kept[i])
	}
	writeList(w, q.filtered, data, count)
	return nil
}

// registryPage returns the registries of a page and how many there are in all.
func (s *server) registryPage(ctx context.Context, q query) ([]*tidewaiter.Registry, int, error) {
	if !q.filtered && q.sort == "" {
		count, err := s.control.CountRegistries(ctx, control.RegistryFilter{})
		if err != nil {
			return nil, 0, err
		}
		page, _, err := s.control.Registries(ctx, control.RegistryFilter{Page: control.Page{Limit: q.size, Offset: q.offset()}})
		return page, count, err
	}
	holds, err := qql.Compile(q.filter, registryTokens, s.now())
	if err != nil {
		return nil, 0, err
	}
	var found []listing
	if err := s.eachRegistry(ctx, func(l listing) {
		if holds(l) {
			found = append(found, l)
		}
	}); err != nil {
		return nil, 0, err
	}
	if err := sortRegistries(found, q); err != nil {
		return nil, 0, err
	}
	var page []*tidewaiter.Registry
	for _, l := range pageOf(found, q) {
		page = append(page, l.Registry)
	}
	return page, len(found), nil
}

// eachRegistry reads all registries, of which there are some ten thousand at most.
func (s *server) eachRegistry(ctx context.Context, yield func(listing)) error {
	f := control.RegistryFilter{Page: control.Page{Limit: 5000}}
	for {
		page, next, err := s.control.Registries(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range page {
			d, err := declaredOf(r)
			if err != nil {
				return err
			}
			yield(listing{r, d})
		}
		if next == "" {
			return nil
		}
		f.After = next
	}
}

// sortRegistries puts registries into the order asked for.
func sortRegistries(list []listing, q query) error {
	if q.sort == "" {
		return nil
	}
	i := slices.IndexFunc(registryTokens, func(f qql.Field[listing]) bool { return strings.EqualFold(f.Name, q.sort) })
	if i < 0 {
		return unsortable(q.sort, "registryName, registryUri, registryType, created, updated")
	}
	f := registryTokens[i]
	slices.SortStableFunc(list, func(a, b listing) int {
		var c int
		if f.Times != nil {
			c = f.Times(a).Compare(f.Times(b))
		} else {
			c = strings.Compare(f.Texts(a)[0], f.Texts(b)[0])
		}
		if q.desc {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.ID, b.ID))
	})
	return nil
}

func unsortable(token, known string) error {
	return tidewaiter.Invalid("sort", "a list cannot be sorted by %q", cut(token, 40)).WithFix("known ones: %s", known)
}

// pageOf cuts a page out of a list.
func pageOf[T any](list []T, q query) []T {
	from := min(q.offset(), len(list))
	return list[from:min(from+q.size, len(list))]
}

// getRegistry shows one registry.
func (s *server) getRegistry(w http.ResponseWriter, r *http.Request) error {
	reg, err := s.find(r.Context(), r.PathValue("registryId"))
	if err != nil {
		return err
	}
	out, err := s.details(r.Context(), reg)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
