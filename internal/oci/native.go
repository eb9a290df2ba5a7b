package oci

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"
)

// HTTP returns a client for the API a registry has besides the distribution one. Its requests pass the same guard, budget,
// retry and trace as those of Registry, and are paced by the host they go to and e.CredentialKey. It adds no credential and
// follows redirects within one origin only: any other is returned as the answer. Requests have to be repeatable. Of e,
// URL and Auth are not used. It returns ErrInvalid for a certificate that cannot be used.
func (c *Client) HTTP(e Endpoint) (*http.Client, error) {
	rt, err := c.roundTripper(e)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: named{next: rt, agent: c.opts.UserAgent}, CheckRedirect: stayPolicy}, nil
}

// named says who asks.
type named struct {
	next  http.RoundTripper
	agent string
}

// RoundTrip implements http.RoundTripper.
func (n named) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", n.agent)
	return n.next.RoundTrip(req)
}

// Get reads a document of the registry's own API below its base, at most 32 MiB, logged in as for the distribution API
// with a token of scope. path begins with "/" and is escaped already; what begins the text of errors. Errors as
// Repositories.
func (r *Registry) Get(ctx context.Context, path, query, scope, what string) (http.Header, []byte, error) {
	c := call{method: http.MethodGet, absolute: path, query: query, scope: scope, accept: []string{"application/json"}, what: what}
	return r.read(ctx, c, maxListBody)
}

// Refused reads and closes an answer that is an error and gives it its meaning, as for every answer of a registry; what
// names the thing asked for. The other side's words are quoted without any of secrets, should it repeat one.
func Refused(resp *http.Response, what string, anonymous bool, now time.Time, secrets ...string) error {
	r := readRefusal(resp)
	for _, s := range secrets {
		if len(s) >= 4 {
			r.body = bytes.ReplaceAll(r.body, []byte(s), []byte(hidden))
			_, r.words = parseErrorBody(r.body)
			r.words = strings.ReplaceAll(r.words, s, hidden)
		}
	}
	return r.err(what, anonymous, now)
}

// Now tells the time by the client's clock.
func (c *Client) Now() time.Time { return c.opts.Now() }

// NetError gives an error of the network its meaning; one that has a meaning keeps it.
func NetError(err error, host string) error { return netError(err, host) }

// Undecodable says what a body is that should have been JSON and was not: a web page, a document cut short, or anything else.
func Undecodable(body []byte, err error) error { return notAList(body, err) }

// NextQuery returns the query of the link to the next page, the only part of it that may be followed. more is false on
// the last page; a link that cannot be read is an ErrMalformed.
func NextQuery(h http.Header) (query string, more bool, err error) {
	target, more, err := nextLink(h.Values("Link"))
	if err != nil || !more {
		return "", false, err
	}
	query, err = linkQuery(target)
	return query, err == nil, err
}

// CleanText makes text of a stranger fit for logs and terminals: no control or format characters, at most max bytes.
func CleanText(s string, max int) string { return clip(plainText(s), max) }

// Prefix puts what was asked for before an error's sentence, keeping its meaning and its remedy.
func Prefix(what string, err error) error { return prefix(what, err) }

// Names lists a registry by other means than the distribution API. Both come page by page as Repositories and Tags do.
type Names struct {
	Repositories func(ctx context.Context, cursor string) (names []string, next string, err error)
	Tags         func(ctx context.Context, repository, cursor string) (names []string, next string, err error)
}

// ProbeNames is Probe for a registry that is listed by names.
func (c *Client) ProbeNames(ctx context.Context, e Endpoint, repository string, names Names) []Step {
	p := &probe{ctx: ctx, client: c, repository: repository, names: names}
	return p.all(e) //nolint:contextcheck // p holds ctx
}

// CheckRepository returns ErrInvalid for a name that must not become part of a path.
func CheckRepository(name string) error { return checkRepository(name) }

// IsDigest reports whether s is a sha256 or sha512 digest.
func IsDigest(s string) bool { return digestGrammar.MatchString(s) }

// IsTag reports whether s can be the name of a tag.
func IsTag(s string) bool { return tagGrammar.MatchString(s) }
