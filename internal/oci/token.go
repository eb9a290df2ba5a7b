package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	maxTokenBody  = 1 << 20
	maxToken      = 64 << 10
	maxTokens     = 1024 // kept for one registry
	defaultExpiry = 60 * time.Second
	maxExpiry     = 24 * time.Hour
)

// tokenCache keeps the tokens of one registry by scope. A slot's lock is held while its token is fetched, so that many
// requests of one scope cause one fetch.
type tokenCache struct {
	now   func() time.Time
	mu    *sync.Mutex
	slots map[string]*tokenSlot
}

type tokenSlot struct {
	lock    chan struct{}
	token   string
	refresh time.Time // from when on a new one is fetched; zero for an empty slot
}

func newTokenCache(now func() time.Time) tokenCache {
	return tokenCache{now: now, mu: new(sync.Mutex), slots: map[string]*tokenSlot{}}
}

func (c tokenCache) slot(key string) *tokenSlot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.slots[key]; ok {
		return s
	}
	if len(c.slots) >= maxTokens {
		clear(c.slots) // who holds a slot keeps using it; the rest is fetched again
	}
	s := &tokenSlot{lock: make(chan struct{}, 1)}
	c.slots[key] = s
	return s
}

// bearer returns the Authorization header for a scope, from the cache unless it is the refused one.
func (a *authorizer) bearer(ctx context.Context, cred Credential, srv server, scope, refused string) (string, error) {
	if cred.AccessToken != "" {
		return "Bearer " + cred.AccessToken, nil
	}
	slot := a.cache.slot(srv.realm.String() + "\n" + srv.service + "\n" + scope)
	select {
	case slot.lock <- struct{}{}:
		defer func() { <-slot.lock }()
	case <-ctx.Done():
		return "", netError(context.Cause(ctx), a.host)
	}
	if header := "Bearer " + slot.token; slot.token != "" && header != refused && a.opts.Now().Before(slot.refresh) {
		return header, nil
	}
	token, expiry, err := a.fetchToken(ctx, cred, srv, scope)
	if tidewaiter.KindOf(err) == tidewaiter.ErrAuth && a.refused != nil {
		a.refused()
		if fresh, e := a.credential(ctx); e == nil && fresh != cred {
			token, expiry, err = a.fetchToken(ctx, fresh, srv, scope)
		}
	}
	if err != nil {
		return "", err
	}
	// A quarter of its life, but no more than 30 s, is kept in reserve for requests under way.
	slot.token, slot.refresh = token, a.opts.Now().Add(expiry-min(expiry/4, 30*time.Second))
	return "Bearer " + token, nil
}

// fetchToken asks the token server: by GET with Basic or nothing (distribution: "Token Authentication Specification"),
// by POST with grant_type=refresh_token for an identity token (distribution: "OAuth2 Token Authentication").
func (a *authorizer) fetchToken(ctx context.Context, cred Credential, srv server, scope string) (string, time.Duration, error) {
	if !cred.anonymous() {
		if err := a.realms.mayReceive(srv.realm); err != nil {
			return "", 0, err
		}
	}
	req, err := a.tokenRequest(Asking(ctx, RequestLogin), cred, srv, scope)
	if err != nil {
		return "", 0, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the registry names a token server that cannot be used: %s", plainText(srv.realm.Host))
	}
	resp, err := send(a.tokens, req, "")
	if err != nil {
		return "", 0, fmt.Errorf("fetch a token: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", 0, a.tokenRefused(readRefusal(resp), cred)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBody))
	resp.Body.Close()
	if err != nil {
		return "", 0, fmt.Errorf("fetch a token: %w", netError(err, srv.realm.Host))
	}
	token, life, err := parseToken(body, srv.realm.Host)
	if err == nil {
		a.mu.Lock()
		a.life, a.lifeFrom = life, srv.realm.Host
		a.mu.Unlock()
	}
	return token, life, err
}

func (a *authorizer) tokenRequest(ctx context.Context, cred Credential, srv server, scope string) (*http.Request, error) {
	if cred.IdentityToken != "" {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {cred.IdentityToken}, "service": {srv.service}, "client_id": {"tidewaiter"}}
		if scope != "" {
			form.Set("scope", scope)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.realm.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", a.opts.UserAgent)
		return req, nil
	}
	u := *srv.realm
	q := u.Query()
	if srv.service != "" {
		q.Set("service", srv.service)
	}
	for s := range strings.FieldsSeq(scope) {
		q.Add("scope", s)
	}
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", a.opts.UserAgent)
	if cred.Username != "" || cred.Password != "" {
		req.SetBasicAuth(cred.Username, cred.Password)
	}
	return req, nil
}

// tokenRefused gives a token server's refusal its meaning. The server's words are freed of the credential, should it
// repeat it.
func (a *authorizer) tokenRefused(r *refusal, cred Credential) error {
	for _, s := range []string{cred.Password, cred.IdentityToken} {
		if len(s) >= 4 {
			r.body = bytes.ReplaceAll(r.body, []byte(s), []byte(hidden)) // before it is cut …
			_, r.words = parseErrorBody(r.body)
			r.words = strings.ReplaceAll(r.words, s, hidden) // … and as it reads without its escapes
		}
	}
	switch {
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden, r.status == http.StatusBadRequest && !cred.anonymous():
		if cred.anonymous() {
			return tidewaiter.Errorf(tidewaiter.ErrAuth, "the token server %s gives nothing to the anonymous%s", r.host, r.said()).
				WithFix("give the registry a credential")
		}
		return tidewaiter.Errorf(tidewaiter.ErrAuth, "the token server %s refused the credential%s", r.host, r.said()).
			WithFix("check user name and password or token, and whether it expired")
	case r.status >= 300 && r.status < 400:
		return tidewaiter.Errorf(tidewaiter.ErrAuth, "the token server %s redirects to another host, and a credential does not follow", r.host).
			WithFix("mend the token realm in the registry's configuration")
	case r.status == http.StatusNotFound, r.status == http.StatusGone:
		return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the token server %s that the registry names is not there (%d)", r.host, r.status)
	}
	return r.err("fetch a token", cred.anonymous(), a.opts.Now())
}

// parseToken reads a token server's answer. It may name the token "token", "access_token" or both; without expires_in
// it lives 60 s (distribution: "Token Response Fields").
func parseToken(body []byte, host string) (string, time.Duration, error) {
	var answer struct {
		Token       string  `json:"token"`
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", 0, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the token server %s answered something that is no token", host)
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the token server %s answered without a usable token", host)
	}
	expiry := defaultExpiry
	if answer.ExpiresIn > 0 {
		expiry = time.Duration(min(answer.ExpiresIn, maxExpiry.Seconds()) * float64(time.Second))
	}
	return token, expiry, nil
}
