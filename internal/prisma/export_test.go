package prisma

import (
	"net/url"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ParseSpecification lets tests read a specification without a console.
func ParseSpecification(b []byte) (*tidewaiter.Registry, error) {
	return parseSpecification(b, 24*time.Hour)
}

// ParseQuery lets tests read query parameters without a console.
func ParseQuery(raw string) (f control.ResultFilter, offset, limit int, err error) {
	q := queryOf(&url.URL{RawQuery: raw})
	p, err := q.page()
	return filterOf(q), p.offset, p.limit, err
}

// Routes lists the route table as "METHOD /path".
func Routes() []string {
	var out []string
	for _, r := range new(server).routes() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}
