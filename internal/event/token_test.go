package event_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// issuer is a Google of our own: it has keys, publishes them, and signs tokens.
type issuer struct {
	*httptest.Server
	mu     sync.Mutex
	keys   map[string]*rsa.PrivateKey
	asked  int
	broken bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{keys: map[string]*rsa.PrivateKey{}}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked++
		if i.broken {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		list := []map[string]string{{"kty": "EC", "kid": "other"}}
		for id, key := range i.keys {
			list = append(list, map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
				"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())})
		}
		w.Header().Set("Cache-Control", "public, max-age=3600, must-revalidate")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": list})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[id] = key
}

func (i *issuer) requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

const (
	audience = "https://tidewaiter.example.com"
	account  = "push@project.iam.gserviceaccount.com"
)

func (i *issuer) token(t *testing.T, id string, now time.Time, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": "https://accounts.google.com", "aud": audience, "email": account, "email_verified": true,
		"sub": "1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	if change != nil {
		change(claims)
	}
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	tok.Header["kid"] = id
	i.mu.Lock()
	defer i.mu.Unlock()
	signed, err := tok.SignedString(i.keys[id])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestPushToken(t *testing.T) {
	i := newIssuer(t)
	i.rotate(t, "one")
	now := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	k := &event.Keys{URL: i.URL, Client: i.Client(), Now: func() time.Time { return now }}
	verify := func(token string) error { return k.VerifyPush(t.Context(), token, audience, account) }
	good := i.token(t, "one", now, nil)
	if err := verify(good); err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) string {
		return i.token(t, "one", now, func(c jwt.MapClaims) { c[name] = value })
	}
	foreign := newIssuer(t)
	foreign.rotate(t, "one")
	unsigned := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": "https://accounts.google.com", "aud": audience, "email": account, "email_verified": true, "exp": now.Add(time.Hour).Unix()})
	unsigned.Header["kid"] = "one"
	none, err := unsigned.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	// The classic confusion: the public key's bytes as the secret of an HMAC.
	confused := jwt.NewWithClaims(jwt.SigningMethodHS256, unsigned.Claims)
	confused.Header["kid"] = "one"
	hs, err := confused.SignedString(i.keys["one"].N.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, reason string }{
		"another audience":     {set("aud", "https://evil.example.com"), "another audience"},
		"no audience":          {i.token(t, "one", now, func(c jwt.MapClaims) { delete(c, "aud") }), "lacks"},
		"another account":      {set("email", "someone@project.iam.gserviceaccount.com"), "service account"},
		"account not verified": {set("email_verified", false), "service account"},
		"another issuer":       {set("iss", "https://evil.example.com"), "not of Google"},
		"expired":              {set("exp", now.Add(-2*time.Minute).Unix()), "expired"},
		"no end":               {i.token(t, "one", now, func(c jwt.MapClaims) { delete(c, "exp") }), "lacks"},
		"from the future":      {set("iat", now.Add(5*time.Minute).Unix()), "future"},
		"unsigned":             {none, "signature"},
		"HMAC":                 {hs, "signature"},
		"another's key":        {foreign.token(t, "one", now, nil), "signature"},
		"cut":                  {good[:len(good)-8], "signature"},
		"no token":             {"x", "cannot be read"},
		"too long":             {strings.Repeat("a", 1<<20), "longer"},
	} {
		err := verify(c.token)
		if tidewaiter.KindOf(err) != tidewaiter.ErrForbidden || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
		if len(c.token) > 20 && err != nil && strings.Contains(err.Error(), c.token[:20]) {
			t.Errorf("%s: the error quotes the token", name)
		}
	}
	if err := verify(set("exp", now.Add(-30*time.Second).Unix())); err != nil {
		t.Errorf("within the skew: %v", err)
	}
	if err := verify(set("iss", "accounts.google.com")); err != nil {
		t.Errorf("the issuer's other name: %v", err)
	}
	if n := i.requests(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestKeysRotate(t *testing.T) {
	i := newIssuer(t)
	i.rotate(t, "one")
	now := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	k := &event.Keys{URL: i.URL, Client: i.Client(), Now: func() time.Time { return now }}
	verify := func(id string) tidewaiter.ErrorKind {
		return tidewaiter.KindOf(k.VerifyPush(t.Context(), i.token(t, id, now, nil), audience, account))
	}
	if got := verify("one"); got != "" {
		t.Fatal(got)
	}
	i.rotate(t, "two")
	if got := verify("two"); got != tidewaiter.ErrForbidden || i.requests() != 1 {
		t.Errorf("a key nobody knows, at once: %q after %d requests", got, i.requests())
	}
	now = now.Add(time.Minute)
	if got := verify("two"); got != "" || i.requests() != 2 {
		t.Errorf("a key nobody knows, later: %q after %d requests", got, i.requests())
	}
	i.mu.Lock()
	i.broken = true
	i.mu.Unlock()
	now = now.Add(2 * time.Hour)
	if got := verify("one"); got != "" || i.requests() != 3 {
		t.Errorf("old keys while there are no new ones: %q after %d requests", got, i.requests())
	}
	fresh := &event.Keys{URL: i.URL, Client: i.Client(), Now: func() time.Time { return now }}
	if got := tidewaiter.KindOf(fresh.VerifyPush(t.Context(), i.token(t, "one", now, nil), audience, account)); got != tidewaiter.ErrTransient {
		t.Errorf("no keys at all: %q", got)
	}
}
