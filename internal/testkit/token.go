package testkit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenIssuer  = "testkit"
	tokenService = "testkit-registry"
	tokenKeyID   = "testkit-key"
	tokenLife    = 5 * time.Minute // CNCF distribution: tokens without expires_in are taken to last 60 seconds
)

// TokenServer hands out bearer tokens for a registry. CNCF distribution: "Token Authentication Specification".
type TokenServer struct {
	URL string // the realm of the registry's challenges

	user, password string
	key            *rsa.PrivateKey

	mu     sync.Mutex
	scopes []string
}

// Scopes returns the scopes asked for so far, in order, each request's joined by blanks.
func (s *TokenServer) Scopes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.scopes...)
}

// newTokenServer starts a server that gives whoever has the password what they ask for, and everybody else a 401. With a
// certificate it speaks TLS: clients refuse to be sent from https to http.
func newTokenServer(t testing.TB, user, password string, cert *tls.Certificate) *TokenServer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatalf("testkit: generate token key: %v", err)
	}
	s := &TokenServer{user: user, password: password, key: key}
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if cert != nil {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	s.URL = server.URL + "/token"
	return s
}

// writeKeySet writes the public key in the form the registry wants it. RFC 7517.
func (s *TokenServer) writeKeySet(path string) error {
	b64 := base64.RawURLEncoding.EncodeToString
	doc, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": tokenKeyID,
		"n": b64(s.key.N.Bytes()), "e": b64(big.NewInt(int64(s.key.E)).Bytes()),
	}}})
	if err != nil {
		return fmt.Errorf("encode key set: %w", err)
	}
	return os.WriteFile(path, doc, 0o600)
}

// access is one entry of a token's access claim.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func (s *TokenServer) serve(w http.ResponseWriter, r *http.Request) {
	scopes := r.URL.Query()["scope"]
	s.mu.Lock()
	s.scopes = append(s.scopes, strings.Join(scopes, " "))
	s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	if user != s.user || password != s.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="testkit"`)
		http.Error(w, `{"details":"incorrect username or password"}`, http.StatusUnauthorized)
		return
	}
	granted := []access{}
	for _, list := range scopes {
		for scope := range strings.FieldsSeq(list) {
			if a, ok := parseScope(scope); ok {
				granted = append(granted, a)
			}
		}
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": tokenIssuer, "sub": user, "aud": tokenService, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(tokenLife).Unix(), "access": granted,
	})
	token.Header["kid"] = tokenKeyID
	signed, err := token.SignedString(s.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(map[string]any{
		"token": signed, "expires_in": int(tokenLife.Seconds()), "issued_at": now.UTC().Format(time.RFC3339),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may have gone
}

// parseScope reads type:name:actions, where the name may hold colons.
func parseScope(s string) (access, bool) {
	kind, rest, ok := strings.Cut(s, ":")
	at := strings.LastIndexByte(rest, ':')
	if !ok || at < 0 {
		return access{}, false
	}
	return access{Type: kind, Name: rest[:at], Actions: strings.Split(rest[at+1:], ",")}, true
}
