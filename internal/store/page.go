package store

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Page says which part of a list to return.
type Page struct {
	Limit  int    // at most MaxLimit; 0 is DefaultLimit
	After  string // the cursor the previous page came with; "" starts at the beginning
	Offset int    // rows to leave out after the cursor; meant for APIs that know no cursors
}

// The bounds of a Page. Lists a surface has to return whole are read with MaxLimit and the cursor.
const (
	DefaultLimit = 50
	MaxLimit     = 20_000
)

func (p Page) limit() int {
	switch {
	case p.Limit <= 0:
		return DefaultLimit
	case p.Limit > MaxLimit:
		return MaxLimit
	}
	return p.Limit
}

// cursor is the sort key of the last row of a page. Order names the list's order, so that a cursor of one order is
// refused by another.
type cursor struct {
	Order string `json:"o"`
	Text  string `json:"t,omitempty"`
	Num   int64  `json:"n,omitempty"`
	ID    int64  `json:"i,omitempty"`
	ID2   int64  `json:"j,omitempty"`
	Phase int    `json:"p,omitempty"`
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// cursorOf reads the page's cursor; nil at the beginning of the list.
func cursorOf(p Page, order string) (*cursor, error) {
	if p.Offset < 0 {
		return nil, tidewaiter.Invalid("offset", "the offset must not be negative")
	}
	if p.After == "" {
		return nil, nil
	}
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(p.After)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Order != order {
		return nil, tidewaiter.Invalid("after", "not a cursor of this list").WithFix("start again without it")
	}
	return &c, nil
}

// cut takes the rows of a page out of what was read for it, one more row than the limit, and makes the cursor of the
// next page when there is one.
func cut[T any](rows []T, p Page, at func(T) cursor) ([]T, string) {
	n := p.limit()
	if len(rows) <= n {
		return rows, ""
	}
	return rows[:n], at(rows[n-1]).String()
}

// joinPair puts two texts into one of a cursor; splitPair takes them apart.
func joinPair(a, b string) string { return a + "\x00" + b }

func splitPair(s string) (a, b string, ok bool) { return strings.Cut(s, "\x00") }

// window reads one row more than the page holds, which tells whether there is a next one.
func (p Page) window(q *bun.SelectQuery) *bun.SelectQuery {
	return q.Limit(int64(p.limit() + 1)).Offset(int64(p.Offset))
}
