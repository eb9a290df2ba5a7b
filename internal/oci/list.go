package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	// pageSize is the n asked for: the most that distribution registries and ECR take.
	pageSize    = 1000
	maxListBody = 32 << 20
	maxName     = 512
)

var firstQuery = fmt.Sprintf("n=%d", pageSize)

// Repositories reads one page of the catalog. cursor is "" for the first page and then what next was; it can be stored.
// next is "" only after the last page: whatever ends a listing early is an error. A name may occur on several pages.
//
// The catalog is no part of the OCI specification and often closed: then the error is ErrDenied or ErrUnsupported and
// says that repositories have to be named.
func (r *Registry) Repositories(ctx context.Context, cursor string) (names []string, next string, err error) {
	names, next, err = r.list(ctx, listing{path: "_catalog", key: "repositories", scope: scopeCatalog, what: "list repositories"}, cursor)
	if err != nil && cursor == "" {
		err = r.catalogClosed(ctx, err)
	}
	return names, next, err
}

// Tags reads one page of a repository's tags, as Repositories does. A repository without tags is an empty page or, on
// some registries, ErrGone.
func (r *Registry) Tags(ctx context.Context, repository, cursor string) (tags []string, next string, err error) {
	if err := checkRepository(repository); err != nil {
		return nil, "", err
	}
	return r.list(ctx, listing{path: repository + "/tags/list", key: "tags", scope: scopePull(repository), what: "list tags of " + repository}, cursor)
}

// listing is a list that comes in pages.
type listing struct {
	path  string
	key   string // of the names in the document
	scope string
	what  string
}

func (r *Registry) list(ctx context.Context, l listing, text string) ([]string, string, error) {
	at, err := parseCursor(text)
	if err != nil {
		return nil, "", err
	}
	if text == "" {
		at.query = firstQuery
	}
	c := call{method: http.MethodGet, path: l.path, query: at.query, scope: l.scope, accept: []string{"application/json"}, what: l.what}
	header, body, err := r.read(slow(ctx), c, maxListBody)
	if text == "" && sizeRefused(err) {
		at.query, c.query = "", ""
		header, body, err = r.read(slow(ctx), c, maxListBody)
	}
	if err != nil {
		if at.check && notKnown(err) {
			return nil, "", nil // it does not know "last", so its page without a link was the last
		}
		return nil, "", err
	}
	names, dropped, err := decodeNames(body, l.key)
	if err != nil {
		return nil, "", prefix(l.what, err)
	}
	if dropped > 0 {
		r.trace.add(TraceEntry{At: r.opts.Now(), Error: fmt.Sprintf("%s: %d names left out that cannot be names", l.what, dropped)})
	}
	names, next, err := follow(at, names, header.Values("Link"))
	if err != nil {
		return nil, "", prefix(l.what, err)
	}
	return names, next, nil
}

// follow decides what comes after a page.
func follow(at cursor, names []string, links []string) ([]string, string, error) {
	if at.check && slices.Contains(names, lastOf(at.query)) {
		return nil, "", nil // it ignores "last" and began anew: there is no more
	}
	target, more, err := nextLink(links)
	if err != nil {
		return nil, "", err
	}
	var query string
	check := !more
	switch {
	case more:
		if query, err = linkQuery(target); err != nil {
			return nil, "", err
		}
	case len(names) == pageSize && (at.check || strings.Contains("&"+at.query+"&", "&"+firstQuery+"&")):
		// Exactly as many as asked for and no link: either all, or a registry that forgets the link, as Nexus groups do.
		query = url.Values{"n": {fmt.Sprint(pageSize)}, "last": {names[len(names)-1]}}.Encode()
	default:
		return names, "", nil
	}
	next, err := at.next(query, check)
	if err != nil {
		return nil, "", err
	}
	return names, next.String(), nil
}

func lastOf(query string) string {
	q, _ := url.ParseQuery(query)
	return q.Get("last")
}

// decodeNames reads {"repositories":[…]} or {"tags":[…]}; null is an empty list, an absent key is not. Repeated names are
// kept once. dropped counts names with control characters or longer than 512 bytes.
func decodeNames(body []byte, key string) (names []string, dropped int, err error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, 0, notAList(body, err)
	}
	raw, ok := doc[key]
	if !ok {
		return nil, 0, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the answer holds no %q", key)
	}
	var all []string
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, 0, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the %q of the answer is no list of names", key)
	}
	seen := make(map[string]bool, len(all))
	for _, n := range all {
		switch {
		case n == "" || len(n) > maxName || !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl):
			dropped++
		case !seen[n]:
			seen[n] = true
			names = append(names, n)
		}
	}
	return names, dropped, nil
}

func notAList(body []byte, err error) error {
	trimmed := bytes.TrimSpace(body)
	switch {
	case bytes.HasPrefix(trimmed, []byte("<")):
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "a web page answered instead of a registry").
			WithFix("check the address; a login page or a proxy may be in the way")
	case len(trimmed) == 0 || strings.Contains(err.Error(), "unexpected end"):
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "the answer ends in its middle")
	}
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the answer is not JSON")
}
