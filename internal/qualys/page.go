package qualys

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Pages of lists. Qualys: 50 by default, 1 to 1000.
const (
	defaultPageSize = 50
	maxPageSize     = 1000
	maxPageNumber   = 1_000_000
)

// query is what every list takes.
type query struct {
	filter   qql.Expr
	filtered bool
	number   int // from 1
	size     int
	sort     string // token, "" for the list's own order
	desc     bool
}

func (q query) offset() int { return (q.number - 1) * q.size }

// queryOf reads filter, pageNo or pageNumber, pageSize and sort. Qualys: v1.1 says pageNo, v1.3 pageNumber; here both are
// taken everywhere, and page 0 is the first.
func queryOf(r *http.Request) (query, error) {
	values := r.URL.Query() // pairs that cannot be decoded are left out
	q := query{}
	filter := decodeAgain(values.Get("filter"))
	var err error
	if q.filter, err = qql.Parse(filter); err != nil {
		return q, err
	}
	q.filtered = strings.TrimSpace(filter) != ""
	page := "pageNumber"
	if values.Get(page) == "" {
		page = "pageNo"
	}
	if q.number, err = number(values, page, 1, 0, maxPageNumber); err != nil {
		return q, err
	}
	q.number = max(1, q.number)
	if q.size, err = number(values, "pageSize", defaultPageSize, 1, maxPageSize); err != nil {
		return q, err
	}
	q.sort, q.desc, err = sortOf(values.Get("sort"))
	return q, err
}

// number reads a whole number within bounds.
func number(values url.Values, name string, fallback, least, most int) (int, error) {
	text := strings.TrimSpace(values.Get(name))
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, tidewaiter.Invalid(name, "%q is not a whole number from %d to %d", cut(text, 40), least, most)
	}
	return n, nil
}

// sortOf reads token:asc or token:desc.
func sortOf(text string) (token string, desc bool, err error) {
	token, direction, _ := strings.Cut(decodeAgain(strings.TrimSpace(text)), ":")
	switch strings.ToLower(strings.TrimSpace(direction)) {
	case "", "asc":
		return strings.TrimSpace(token), false, nil
	case "desc":
		return strings.TrimSpace(token), true, nil
	}
	return "", false, tidewaiter.Invalid("sort", "%q is not a direction", cut(direction, 40)).WithFix("token:asc or token:desc")
}

// decodeAgain undoes a second URL encoding. Qualys: some clients encode the filter twice.
func decodeAgain(s string) string {
	if !strings.Contains(s, "%3A") && !strings.Contains(s, "%3a") && !strings.Contains(s, "%22") {
		return s
	}
	if once, err := url.QueryUnescape(s); err == nil {
		return once
	}
	return s
}
