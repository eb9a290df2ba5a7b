package qualys

import (
	"net/http"
	"net/url"
	"strings"
)

// Pages of images/list. Qualys: 50 by default, at most 250.
const (
	defaultListLimit = 50
	maxListLimit     = 250
	maxListReads     = 40 // reads of the store for one page
)

// bulkImages is Qualys' BulkImageDetailsList.
type bulkImages struct {
	Data  []listedImage `json:"data"`
	Limit int           `json:"limit"`
}

// getImageList lists images by when they changed, oldest first, page by page behind a cursor: an image that changes while
// somebody pages comes again and none is left out. Qualys: the next page is in the link header, "null" when there is none;
// clients use it as it is. Ours: a page whose filter lets little through may be shorter than the limit and still have a next.
func (s *server) getImageList(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	limit, err := number(values, "limit", defaultListLimit, 1, maxListLimit)
	if err != nil {
		return err
	}
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	holds, err := s.imageFilter(r.Context(), q.filter)
	if err != nil {
		return err
	}
	f := narrow(q.filter).ImageFilter
	f.Sort, f.Asc, f.After = "updated", true, values.Get("paginationQuery")
	out := bulkImages{Data: []listedImage{}, Limit: limit}
	for range maxListReads {
		f.Limit = limit - len(out.Data)
		rows, next, err := s.control.Images(r.Context(), f)
		if err != nil {
			return named("paginationQuery", err)
		}
		for _, row := range rows {
			if holds(row) {
				out.Data = append(out.Data, listedImageOf(row))
			}
		}
		f.After = next
		if next == "" || 2*len(out.Data) >= limit {
			break
		}
	}
	w.Header().Set("Link", nextLink(r, f.After))
	writeJSON(w, http.StatusOK, out)
	return nil
}

// nextLink is the address of the next page: the request's own with another cursor.
func nextLink(r *http.Request, cursor string) string {
	if cursor == "" {
		return "null"
	}
	values := r.URL.Query()
	values.Set("paginationQuery", cursor)
	u := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: values.Encode()}
	// A proxy that ends TLS says so; who makes it up changes nothing but their own link.
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		u.Scheme = "https"
	}
	return "<" + u.String() + ">;rel=next"
}
