package prisma

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Pages of lists. Prisma: 50 by default, 250 at most.
const (
	defaultLimit = 50
	maxLimit     = 250
)

// query reads query parameters leniently: unknown ones are ignored, and shipped clients that write a second "?" where
// "&" belongs are understood: the value ends there and the rest is lost.
type query struct{ values url.Values }

func queryOf(u *url.URL) query { return query{u.Query()} } // pairs that cannot be decoded are left out

// text returns a parameter, "" when it is absent.
func (q query) text(name string) string { return q.values.Get(name) }

// list returns a parameter that may be repeated and may hold several values with commas between them.
func (q query) list(name string) []string {
	var out []string
	for _, v := range q.values[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// flag returns a boolean, false when absent. What cannot be read counts as true: somebody meant to set it.
func (q query) flag(name string) bool {
	if !q.values.Has(name) {
		return false
	}
	value := upToQuestion(q.text(name))
	b, err := strconv.ParseBool(strings.ToLower(value))
	return b || err != nil
}

// choice returns a boolean that makes a difference when absent: ok is false then.
func (q query) choice(name string) (value, ok bool) { return q.flag(name), q.values.Has(name) }

// number returns a whole number of at least 0, or fallback when it is absent.
func (q query) number(name string, fallback int) (int, error) {
	value := upToQuestion(q.text(name))
	if value == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, tidewaiter.Invalid(name, "%q is not a whole number of 0 or more", cut(value, 40))
	}
	return n, nil
}

// page is the part of a list that was asked for.
type page struct{ offset, limit int }

// page reads offset and limit. A limit of 0 asks for the length of the list only.
func (q query) page() (page, error) {
	offset, err := q.number("offset", 0)
	if err != nil {
		return page{}, err
	}
	limit, err := q.number("limit", defaultLimit)
	if err != nil {
		return page{}, err
	}
	return page{offset: offset, limit: min(limit, maxLimit)}, nil
}

func upToQuestion(s string) string {
	s, _, _ = strings.Cut(s, "?")
	return s
}

// cut shortens what somebody sent before it is shown back.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
