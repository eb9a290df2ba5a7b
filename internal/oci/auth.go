package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// authorizer adds Authorization headers to requests for one registry. It asks GET /v2/ once to learn how the registry
// wants to be logged in to, so that a registry open to the anonymous still shows what the credential may see, and then
// fetches a token for each scope before it is needed. A 401 is answered once.
type authorizer struct {
	registry *url.URL
	host     string // as image names have it
	source   Auth
	refused  func() // told of a credential that was refused; may be nil
	realms   realmPolicy
	tokens   *http.Client
	ping     *http.Client
	opts     *Options

	learning chan struct{} // held while the first ping is under way

	mu     sync.Mutex
	scheme string // "" until learnt, then none, basic or bearer
	server server // for bearer
	cache  tokenCache
	wider  map[string]string // scopes a challenge asked for, by the scope we had asked for

	life     time.Duration // of the last token fetched
	lifeFrom string        // who gave it
}

const (
	schemeNone   = "none"
	schemeBasic  = "basic"
	schemeBearer = "bearer"
)

// server is a token server as a challenge names it.
type server struct {
	realm   *url.URL
	service string
	scope   string // what the challenge to GET /v2/ asked for; used where a request has no scope of its own
	basic   bool   // the registry takes Basic as well
}

func newAuthorizer(base *url.URL, e Endpoint, rt http.RoundTripper, o *Options) (*authorizer, error) {
	realms, err := newRealmPolicy(base, e.TrustRealms)
	if err != nil {
		return nil, err
	}
	source := e.Auth
	if source == nil {
		source = Anonymous
	}
	return &authorizer{
		registry: base,
		host:     tidewaiter.HostOf(base.String()),
		source:   source,
		refused:  e.Refused,
		realms:   realms,
		tokens:   &http.Client{Transport: rt, CheckRedirect: stayPolicy},
		ping:     &http.Client{Transport: rt, CheckRedirect: redirectPolicy(false)},
		opts:     o,
		learning: make(chan struct{}, 1),
		cache:    newTokenCache(o.Now),
		wider:    map[string]string{},
	}, nil
}

// credential asks for the credential.
func (a *authorizer) credential(ctx context.Context) (Credential, error) {
	c, err := a.source(Asking(ctx, RequestLogin), a.host)
	if err != nil && tidewaiter.KindOf(err) == tidewaiter.ErrBug {
		err = tidewaiter.Errorf(tidewaiter.ErrAuth, "no credential for %s: %w", a.host, err)
	}
	return c, err
}

// do sends a request of scope ("" for none) to the registry. It returns a 401 only when there is nothing left to try.
func (a *authorizer) do(client *http.Client, req *http.Request, scope string) (*http.Response, error) {
	ctx := req.Context()
	header, err := a.header(ctx, scope)
	if err != nil {
		return nil, err
	}
	resp, err := send(client, req, header)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if !sameOrigin(resp.Request.URL, req.URL) {
		return resp, a.strangerAsks(resp)
	}
	// The body is read and closed before a token is fetched: it holds a place in the budget.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := a.answer(ctx, resp.Header.Values("WWW-Authenticate"), scope, header)
	if err != nil || answer == "" {
		return resp, err
	}
	return send(client, req, answer)
}

// strangerAsks explains a 401 after a redirect to another origin, which never gets the credential.
func (a *authorizer) strangerAsks(resp *http.Response) error {
	u := resp.Request.URL
	if u.Hostname() == a.registry.Hostname() && u.Scheme == "https" && a.registry.Scheme == "http" {
		resp.Body.Close()
		return tidewaiter.Errorf(tidewaiter.ErrAuth, "%s redirects to https, and a credential does not follow a redirect", a.registry.Host).
			WithFix("write the address as https://%s", u.Host)
	}
	return nil
}

// send makes one request with an Authorization header; resp is nil when err is not.
func send(client *http.Client, req *http.Request, authorization string) (*http.Response, error) {
	req = req.Clone(req.Context())
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		if cause := context.Cause(req.Context()); cause != nil { //nolint:contextcheck // the request was made with the caller's
			err = cause
		}
		return nil, netError(err, req.URL.Host)
	}
	return resp, nil
}

// header returns what to send before being asked.
func (a *authorizer) header(ctx context.Context, scope string) (string, error) {
	cred, err := a.credential(ctx)
	if err != nil {
		return "", err
	}
	scheme, srv := a.learnt()
	if scheme == "" && !cred.anonymous() {
		if err := a.learn(ctx); err != nil {
			return "", err
		}
		scheme, srv = a.learnt()
	}
	switch scheme {
	case schemeNone, schemeBasic:
		return cred.direct(), nil
	case schemeBearer:
		if scope == "" {
			scope = srv.scope
		}
		return a.bearerOrBasic(ctx, cred, srv, a.widened(scope), "")
	}
	return "", nil
}

func (a *authorizer) learnt() (string, server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.scheme, a.server
}

// learn asks GET /v2/ without a credential. Many requests at once cause one ping.
func (a *authorizer) learn(ctx context.Context) error {
	select {
	case a.learning <- struct{}{}:
		defer func() { <-a.learning }()
	case <-ctx.Done():
		return netError(context.Cause(ctx), a.host)
	}
	if scheme, _ := a.learnt(); scheme != "" {
		return nil
	}
	req, err := http.NewRequestWithContext(Asking(ctx, RequestLogin), http.MethodGet, a.registry.JoinPath("v2/").String(), nil)
	if err != nil {
		return tidewaiter.Invalid("url", "not a valid registry address")
	}
	req.Header.Set("User-Agent", a.opts.UserAgent)
	resp, err := send(a.ping, req, "")
	if err != nil {
		return fmt.Errorf("ask %s how to log in: %w", a.host, err)
	}
	r := readRefusal(resp)
	switch {
	case r.status == http.StatusUnauthorized && sameOrigin(resp.Request.URL, req.URL):
		_, err := a.note(parseChallenges(resp.Header.Values("WWW-Authenticate")), true)
		return err
	case r.status == http.StatusUnauthorized:
		return a.strangerAsks(resp)
	case r.status == http.StatusTooManyRequests, r.status >= 500:
		return r.err("log in", true, a.opts.Now())
	}
	a.mu.Lock()
	a.scheme = schemeNone
	a.mu.Unlock()
	return nil
}

// note remembers how the registry wants to be logged in to: Bearer where it offers that with a realm that can be read,
// else Basic. It returns the Bearer challenge's scopes.
func (a *authorizer) note(offers []challenge, first bool) (string, error) {
	basic := slices.ContainsFunc(offers, func(c challenge) bool { return c.scheme == schemeBasic })
	unusable := tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s offers no way to log in that is known here (Basic or Bearer)", a.registry.Host)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range offers {
		if c.scheme != schemeBearer {
			continue
		}
		realm, err := parseRealm(c.params["realm"])
		if err != nil {
			unusable = err
			continue
		}
		scope := readOnlyScopes(c.params["scope"])
		srv := server{realm: realm, service: c.params["service"], scope: a.server.scope, basic: basic}
		if first {
			srv.scope = scope
		}
		a.scheme, a.server = schemeBearer, srv
		return scope, nil
	}
	if basic {
		a.scheme = schemeBasic
		return "", nil
	}
	return "", unusable
}

// answer returns the header that answers a 401, "" when the credential has been refused for good.
func (a *authorizer) answer(ctx context.Context, headers []string, scope, refused string) (string, error) {
	offers := parseChallenges(headers)
	if len(offers) == 0 {
		return "", nil
	}
	asked, err := a.note(offers, false)
	if err != nil {
		return "", err
	}
	if refused != "" && a.refused != nil {
		a.refused()
	}
	cred, err := a.credential(ctx)
	if err != nil {
		return "", err
	}
	scheme, srv := a.learnt()
	header := ""
	switch scheme {
	case schemeBasic:
		if cred.direct() == "" && !cred.anonymous() {
			return "", tidewaiter.Errorf(tidewaiter.ErrAuth, "%s wants a user name and a password, not a token", a.registry.Host)
		}
		header = cred.direct()
	case schemeBearer:
		header, err = a.bearerOrBasic(ctx, cred, srv, a.widen(scope, asked), refused)
	}
	if header == refused {
		header = ""
	}
	return header, err
}

// bearerOrBasic falls back to Basic where the registry offers both and its token server is of no use.
func (a *authorizer) bearerOrBasic(ctx context.Context, cred Credential, srv server, scope, refused string) (string, error) {
	header, err := a.bearer(ctx, cred, srv, scope, refused)
	if err == nil || !srv.basic || cred.Username == "" {
		return header, err
	}
	switch tidewaiter.KindOf(err) {
	case tidewaiter.ErrAuth, tidewaiter.ErrDenied, tidewaiter.ErrUnsupported, tidewaiter.ErrMalformed:
		return cred.basic(), nil
	}
	return "", err
}

// isAnonymous reports whether the registry is used without a credential, to word a refusal.
func (a *authorizer) isAnonymous(ctx context.Context) bool {
	c, err := a.credential(ctx)
	return err == nil && c.anonymous()
}
