package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Pages is how a list of the distribution API comes.
type Pages struct {
	List      string   `json:"list"` // "_catalog" or "name/tags/list"
	Status    int      `json:"status"`
	Names     int      `json:"names"`             // on the first page
	Largest   int      `json:"largest,omitempty"` // the largest page size taken of those tried; 0 when none is refused
	Quirks    []string `json:"quirks,omitempty"`
	Continues bool     `json:"continues"` // by a link on small pages
}

// The quirks of pages.
const (
	QuirkSizeRefused  = "a page size of 1000 is refused"
	QuirkSizeIgnored  = "the page size is ignored: all names come at once"
	QuirkLinkMissing  = "a page that is full has no link to the next"
	QuirkLinkRelative = "links to the next page are relative"
	QuirkLinkElse     = "links to the next page lead to another host or port; only their query is used"
	QuirkLinkBroken   = "links to the next page cannot be read"
	QuirkOpaque       = "links to the next page hold a cursor of the registry's own"
)

// sizes are what is tried where the largest page is refused.
var sizes = [...]int{500, 200, 100, 50}

// Pages tries how the catalog ("" as repository) or a repository's tags come page by page, with at most seven requests.
// Whatever the registry answers is no error but what is reported; errors are those of getting there.
func (r *Registry) Pages(ctx context.Context, repository string) (Pages, error) {
	l := listing{path: "_catalog", key: "repositories", scope: scopeCatalog, what: "list repositories"}
	if repository != "" {
		if err := checkRepository(repository); err != nil {
			return Pages{}, err
		}
		l = listing{path: repository + "/tags/list", key: "tags", scope: scopePull(repository), what: "list tags of " + repository}
	}
	p := Pages{List: l.path}
	first, err := r.tryPage(ctx, l, pageSize)
	if err != nil {
		return p, err
	}
	p.Status, p.Names = first.status, len(first.names)
	if first.status == http.StatusBadRequest || first.status == http.StatusUnprocessableEntity {
		p.Quirks = append(p.Quirks, QuirkSizeRefused)
		for _, n := range sizes {
			page, err := r.tryPage(ctx, l, n)
			if err != nil {
				return p, err
			}
			if page.status == http.StatusOK {
				p.Largest, p.Names = n, len(page.names)
				break
			}
		}
	} else if first.status != http.StatusOK {
		return p, nil
	}
	if p.Names < 2 {
		return p, nil // nothing to make two pages of
	}
	small, err := r.tryPage(ctx, l, 1)
	if err != nil || small.status != http.StatusOK {
		return p, err
	}
	p.add(small, r.base)
	return p, nil
}

// add says what a page of one name, where there are more, shows.
func (p *Pages) add(page triedPage, base *url.URL) {
	if len(page.names) > 1 {
		p.Quirks = append(p.Quirks, QuirkSizeIgnored)
		return
	}
	target, more, err := nextLink(page.header.Values("Link"))
	switch {
	case err != nil:
		p.Quirks = append(p.Quirks, QuirkLinkBroken)
		return
	case !more:
		p.Quirks = append(p.Quirks, QuirkLinkMissing)
		return
	}
	p.Continues = true
	u, err := url.Parse(target)
	if err != nil {
		p.Quirks = append(p.Quirks, QuirkLinkBroken)
		return
	}
	if u.Host == "" {
		p.Quirks = append(p.Quirks, QuirkLinkRelative)
	} else if !strings.EqualFold(u.Host, base.Host) {
		p.Quirks = append(p.Quirks, QuirkLinkElse)
	}
	if last := u.Query().Get("last"); len(page.names) == 1 && last != page.names[0] {
		p.Quirks = append(p.Quirks, QuirkOpaque)
	}
}

type triedPage struct {
	status int
	header http.Header
	names  []string
}

func (r *Registry) tryPage(ctx context.Context, l listing, n int) (triedPage, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	resp, err := r.do(slow(ctx), call{method: http.MethodGet, path: l.path, query: fmt.Sprintf("n=%d", n), scope: l.scope,
		accept: []string{"application/json"}, what: l.what})
	if err != nil {
		return triedPage{}, err
	}
	defer resp.Body.Close()
	page := triedPage{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode != http.StatusOK {
		return page, nil
	}
	var doc map[string]json.RawMessage
	if json.NewDecoder(http.MaxBytesReader(nil, resp.Body, maxListBody)).Decode(&doc) == nil {
		_ = json.Unmarshal(doc[l.key], &page.names) // something else is a list of no names
	}
	return page, nil
}
