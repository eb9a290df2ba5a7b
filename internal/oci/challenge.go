package oci

import "strings"

// challenge is one authentication scheme a server offers.
type challenge struct {
	scheme string            // lower case
	params map[string]string // names in lower case
}

const maxChallenges = 8

// parseChallenges reads WWW-Authenticate headers: several headers, and several challenges in one (RFC 9110 11.6.1).
// What cannot be read is left out.
func parseChallenges(headers []string) []challenge {
	var out []challenge
	for _, h := range headers {
		if len(h) > 16<<10 {
			continue
		}
		p := headerParser{rest: h}
		for len(out) < maxChallenges {
			c, ok := p.challenge()
			if !ok {
				break
			}
			out = append(out, c)
		}
	}
	return out
}

// headerParser reads tokens off the front of a header's value.
type headerParser struct{ rest string }

func (p *headerParser) challenge() (challenge, bool) {
	p.skip(" \t,")
	scheme := p.token()
	if scheme == "" {
		return challenge{}, false
	}
	c := challenge{scheme: strings.ToLower(scheme), params: map[string]string{}}
	for {
		before := p.rest
		p.skip(" \t,")
		name := p.token()
		p.skip(" \t")
		if name == "" || !strings.HasPrefix(p.rest, "=") || strings.HasPrefix(p.rest, "==") {
			p.rest = before // the next challenge's scheme, or the end
			return c, true
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		if value, ok := p.value(); ok {
			c.params[strings.ToLower(name)] = value
		}
	}
}

func (p *headerParser) skip(set string) { p.rest = strings.TrimLeft(p.rest, set) }

// token reads an RFC 9110 token.
func (p *headerParser) token() string {
	n := 0
	for n < len(p.rest) && isTokenByte(p.rest[n]) {
		n++
	}
	t := p.rest[:n]
	p.rest = p.rest[n:]
	return t
}

// value reads a quoted string, or anything up to the next separator: unquoted URLs occur.
func (p *headerParser) value() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		n := strings.IndexAny(p.rest, ",; \t")
		if n < 0 {
			n = len(p.rest)
		}
		v := p.rest[:n]
		p.rest = p.rest[n:]
		return v, true
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	p.rest = ""
	return "", false
}

func isTokenByte(c byte) bool {
	switch {
	case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
