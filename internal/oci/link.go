package oci

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const maxLinkHeader = 64 << 10

// nextLink finds the target of the link with relation "next" in Link headers (RFC 8288 3). ok is false when there is
// none. What cannot be read is an ErrMalformed rather than the end of a listing.
func nextLink(headers []string) (target string, ok bool, err error) {
	for _, h := range headers {
		p := headerParser{rest: h}
		if len(h) > maxLinkHeader {
			return "", false, malformedLink(h)
		}
		for {
			p.skip(" \t,")
			if p.rest == "" {
				break
			}
			target, next, good := p.link()
			if !good {
				return "", false, malformedLink(h)
			}
			if next {
				return target, true, nil
			}
		}
	}
	return "", false, nil
}

func malformedLink(h string) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the Link header to the next page cannot be read: %q", clip(plainText(h), 200))
}

// link reads one link-value: <target>; param=value; …
func (p *headerParser) link() (target string, next, ok bool) {
	if !strings.HasPrefix(p.rest, "<") {
		return "", false, false
	}
	target, rest, found := strings.Cut(p.rest[1:], ">")
	if !found {
		return "", false, false
	}
	p.rest = rest
	seen := false
	for {
		p.skip(" \t")
		if !strings.HasPrefix(p.rest, ";") {
			return target, next, p.rest == "" || p.rest[0] == ','
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		name := p.token()
		p.skip(" \t")
		if !strings.HasPrefix(p.rest, "=") {
			continue
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		value, good := p.value()
		if !good {
			return "", false, false
		}
		if strings.EqualFold(name, "rel") && !seen { // only the first counts
			seen = true
			for rel := range strings.FieldsSeq(value) {
				next = next || strings.EqualFold(rel, "next")
			}
		}
	}
}

// linkQuery returns the query of a link's target. Nothing else of it is ever used: registries behind proxies name the
// wrong scheme, host, port or path, and hostile ones name somebody else's.
func linkQuery(target string) (string, error) {
	target, _, _ = strings.Cut(target, "#")
	_, query, _ := strings.Cut(target, "?")
	for i := range len(query) {
		if query[i] <= ' ' || query[i] >= 0x7f {
			return "", malformedLink(target)
		}
	}
	if len(query) > 16<<10 {
		return "", malformedLink(target)
	}
	return query, nil
}
