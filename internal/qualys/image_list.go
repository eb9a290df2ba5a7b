package qualys

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
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
	asked, err := wantedOf(r)
	if err != nil {
		return err
	}
	c, err := s.choose(r.Context(), q.filter)
	if err != nil {
		return err
	}
	f := control.ImageFilter{Where: c.where, Sort: "updated", Asc: true, Page: control.Page{After: values.Get("paginationQuery")}}
	out := bulkImages{Data: []listedImage{}, Limit: limit}
	if c.sha != "" {
		rows, err := s.lookUp(r.Context(), c.sha)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(row *control.ImageRow) bool { return !c.holds(row) })
		return s.writeImages(w, r, &out, rows, asked, "")
	}
	var found []*control.ImageRow
	for range maxListReads {
		f.Limit = limit - len(found)
		rows, next, err := s.control.Images(r.Context(), f)
		if tidewaiter.KindOf(err) == tidewaiter.ErrInvalid {
			return named("paginationQuery", err)
		}
		if err != nil {
			return err
		}
		found = append(found, slices.DeleteFunc(rows, func(row *control.ImageRow) bool { return !c.holds(row) })...)
		if f.After = next; next == "" || 2*len(found) >= limit {
			break
		}
	}
	return s.writeImages(w, r, &out, found, asked, f.After)
}

// writeImages answers with images, and with what scanDetails asks for of each.
func (s *server) writeImages(w http.ResponseWriter, r *http.Request, out *bulkImages, rows []*control.ImageRow, asked wanted, next string) error {
	for _, row := range rows {
		shown := listedImageOf(row)
		if asked.any() {
			result, err := s.control.Result(r.Context(), row.ID)
			if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
				continue // deleted in the meantime
			}
			if err != nil {
				return err
			}
			shown.scanDetails = scanDetailsOf(result, asked)
		}
		out.Data = append(out.Data, shown)
	}
	w.Header().Set("Link", nextLink(r, next))
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
