package oci

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const maxPages = 1_000_000

// cursor is where a listing goes on. Its text form can be stored and used by another process.
//
// A registry whose next-page links go round in circles must not be followed for ever, and no list of the pages seen is
// kept. So the cursor carries an anchor: the fingerprint of the query at the last page number that was a power of two.
// A circle of any length meets its anchor again (Brent's algorithm).
type cursor struct {
	page   int    // the number of the page it leads to; the first is 0
	anchor uint64 // fingerprint of the query of page 1, 2, 4, 8, …
	check  bool   // a question of ours whether there is more, not a link of the registry's
	query  string // raw; verbatim from the registry unless check
}

const (
	linkCursor  = "link"
	checkCursor = "last"
)

func (c cursor) String() string {
	kind := linkCursor
	if c.check {
		kind = checkCursor
	}
	return fmt.Sprintf("%d.%x.%s.%s", c.page, c.anchor, kind, c.query)
}

// parseCursor reads a cursor; "" is the first page.
func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	bad := tidewaiter.Invalid("cursor", "the cursor is not one of ours").WithFix("start the listing over")
	parts := strings.SplitN(s, ".", 4)
	if len(parts) != 4 || parts[2] != linkCursor && parts[2] != checkCursor {
		return cursor{}, bad
	}
	page, err := strconv.Atoi(parts[0])
	if err != nil || page < 1 || page > maxPages {
		return cursor{}, bad
	}
	anchor, err := strconv.ParseUint(parts[1], 16, 64)
	if err != nil {
		return cursor{}, bad
	}
	query, err := linkQuery("?" + parts[3])
	if err != nil || query != parts[3] {
		return cursor{}, bad
	}
	return cursor{page: page, anchor: anchor, check: parts[2] == checkCursor, query: query}, nil
}

// next returns the cursor of the page after c. It returns ErrMalformed when the listing goes in circles and ErrTooLarge
// after a million pages.
func (c cursor) next(query string, check bool) (cursor, error) {
	n := cursor{page: c.page + 1, anchor: c.anchor, check: check, query: query}
	print := fingerprint(query)
	switch {
	case n.page > maxPages:
		return cursor{}, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the listing has more than %d pages", maxPages)
	case query == c.query || c.page > 0 && print == c.anchor:
		return cursor{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the listing goes in circles: page %d leads back to a page already read", n.page)
	case n.page&(n.page-1) == 0:
		n.anchor = print
	}
	return n, nil
}

func fingerprint(query string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(query)) // never fails
	return h.Sum64()
}
