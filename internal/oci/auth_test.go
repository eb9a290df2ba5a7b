package oci_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const password = "c0rrect-horse"

// tokenRegistry lets in whoever shows a token its token server handed out for the scope that is needed.
type tokenRegistry struct {
	realm      string
	challenges []string // in place of the usual one
	expires    int      // seconds; 0 leaves expires_in out
	now        func() time.Time
	issued     map[string]time.Time
	count      atomic.Int64
}

func (s *tokenRegistry) registry(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	scope := "repository:app:pull"
	if r.URL.Path == "/v2/" {
		scope = ""
	}
	ttl := time.Duration(max(s.expires, 60)) * time.Second
	if at, ok := s.issued[token]; ok && s.now().Sub(at) < ttl && strings.Contains(token, strings.ReplaceAll(scope, ":", "-")) {
		page(w, "", "a")
		return
	}
	for _, c := range s.challenges {
		w.Header().Add("WWW-Authenticate", c)
	}
	if s.challenges == nil {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="reg",scope=%q`, s.realm, scope))
	}
	w.WriteHeader(http.StatusUnauthorized)
}

func (s *tokenRegistry) tokens(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if u, p, ok := r.BasicAuth(); r.Form.Get("refresh_token") != password && (!ok || u != "u" || p != password) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"%s is wrong"}`, p)
		return
	}
	token := fmt.Sprintf("tok%d-%s", s.count.Add(1), strings.ReplaceAll(r.Form.Get("scope"), ":", "-"))
	s.issued[token] = s.now()
	answer := map[string]any{"token": token}
	if s.expires > 0 {
		answer["expires_in"] = s.expires
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func newTokenRegistry(realm string) (*tokenRegistry, *network) {
	s := &tokenRegistry{realm: realm, now: time.Now, issued: map[string]time.Time{}}
	return s, &network{hosts: map[string]http.Handler{
		"registry.example.com": http.HandlerFunc(s.registry), "auth.example.com": http.HandlerFunc(s.tokens),
	}}
}

func TestTokenIsFetchedBeforeItIsAskedFor(t *testing.T) {
	_, n := newTokenRegistry("https://auth.example.com/token")
	r := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password)})
	for range 2 {
		if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"GET https://registry.example.com/v2/",
		"GET https://auth.example.com/token?scope=repository%3Aapp%3Apull&service=reg",
		"GET https://registry.example.com/v2/app/tags/list?n=1000",
		"GET https://registry.example.com/v2/app/tags/list?n=1000",
	}
	if diff := cmp.Diff(want, n.requests("")); diff != "" {
		t.Error(diff)
	}
	for _, c := range n.credentials("registry.example.com") {
		if !strings.HasPrefix(c, "Bearer tok") {
			t.Errorf("the registry got %q", c)
		}
	}
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	for _, expires := range []int{0, 300} {
		synctest.Test(t, func(t *testing.T) {
			s, n := newTokenRegistry("https://auth.example.com/token")
			s.expires = expires
			r := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password)})
			for range 40 {
				if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second) // of the bubble's clock
			}
			for _, req := range n.requests("registry.example.com")[1:] {
				if !strings.HasSuffix(req, "n=1000") {
					t.Errorf("unexpected %s", req)
				}
			}
			if tags := len(n.requests("registry.example.com")) - 1; tags != 40 {
				t.Errorf("%d requests for 40 pages: a token had expired", tags)
			}
			lifetime := 45
			if expires > 0 {
				lifetime = expires - 30
			}
			if got, most := int(s.count.Load()), 800/lifetime+2; got < 2 || got > most {
				t.Errorf("%d tokens fetched, at most %d expected", got, most)
			}
		})
	}
}

func TestIdentityTokenIsPostedToTheTokenServer(t *testing.T) {
	_, n := newTokenRegistry("https://auth.example.com/token")
	r := n.registry(t, oci.Endpoint{URL: home, Auth: oci.IdentityToken(password)})
	if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
		t.Fatal(err)
	}
	if got := n.requests("auth.example.com"); !slices.Equal(got, []string{"POST https://auth.example.com/token"}) {
		t.Error(got)
	}
}

func TestTokenServerRefuses(t *testing.T) {
	_, n := newTokenRegistry("https://auth.example.com/token")
	_, _, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", "my-wrong-secret")}).Tags(t.Context(), "app", "")
	wantKind(t, err, tidewaiter.ErrAuth, "refused the credential")
	if strings.Contains(err.Error(), "my-wrong-secret") {
		t.Errorf("the password is repeated: %v", err)
	}
	_, _, err = n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", "")
	wantKind(t, err, tidewaiter.ErrAuth, "credential")
}

func TestTokenServerThatRepeatsThePassword(t *testing.T) {
	const secret = `quo"te<d>-secret`
	_, n := newTokenRegistry("https://auth.example.com/token")
	n.hosts["auth.example.com"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, p, _ := r.BasicAuth()
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "no user with " + p})
	})
	_, _, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", secret)}).Tags(t.Context(), "app", "")
	wantKind(t, err, tidewaiter.ErrAuth, "no user with ***")
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the password is repeated: %v", err)
	}
}

func TestTwoChallenges(t *testing.T) {
	t.Run("bearer first", func(t *testing.T) { // Gitea
		s, n := newTokenRegistry("")
		s.challenges = []string{`Bearer realm="https://auth.example.com/token",service="container_registry",scope="*"`, `Basic realm="Gitea"`}
		if _, _, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password)}).Tags(t.Context(), "app", ""); err != nil {
			t.Fatal(err)
		}
		if got := n.requests("auth.example.com"); len(got) != 1 || strings.Contains(got[0], "%2A") {
			t.Errorf("token requests %v", got)
		}
	})
	t.Run("basic where the realm is of no use", func(t *testing.T) {
		n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, p, _ := r.BasicAuth(); p == password {
				page(w, "", "a")
				return
			}
			w.Header().Add("WWW-Authenticate", `Bearer realm="https://elsewhere.example.net/token", Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}), "elsewhere.example.net": text(200, `{"token":"x"}`)}}
		if _, _, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password)}).Tags(t.Context(), "app", ""); err != nil {
			t.Fatal(err)
		}
		if got := n.requests("elsewhere.example.net"); got != nil {
			t.Errorf("asked %v", got)
		}
	})
}

func TestScopeAChallengeAddsIsRemembered(t *testing.T) {
	n := &network{}
	n.hosts = map[string]http.Handler{
		"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Authorization"), "metadata_read") {
				page(w, "", "a")
				return
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example.com/oauth2/token",service="s",scope="repository:app:metadata_read,delete"`)
			w.WriteHeader(http.StatusUnauthorized)
		}),
	}
	inner := n.hosts["registry.example.com"]
	n.hosts["registry.example.com"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			fmt.Fprintf(w, `{"access_token":"t/%s"}`, strings.Join(r.URL.Query()["scope"], "+"))
			return
		}
		inner.ServeHTTP(w, r)
	})
	r := n.registry(t, oci.Endpoint{URL: home})
	for range 3 {
		if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.requests(""); len(got) != 5 {
		t.Errorf("%d requests, want 401, token and 3 pages: %v", len(got), got)
	}
	if got := n.requests("")[1]; strings.Contains(got, "delete") {
		t.Errorf("asked for more than reading: %s", got)
	}
}

func TestCredentialMayRotate(t *testing.T) {
	current := "old"
	n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p == current {
			page(w, "", "a")
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})}}
	r := n.registry(t, oci.Endpoint{URL: home, Auth: func(_ context.Context, host string) (oci.Credential, error) {
		if host != "registry.example.com" {
			t.Errorf("asked for %q", host)
		}
		return oci.Credential{Username: "u", Password: current}, nil
	}})
	for _, current = range []string{"old", "new"} {
		if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCredentialSourceFails(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{}}
	fail := func(err error) oci.Auth {
		return func(context.Context, string) (oci.Credential, error) { return oci.Credential{}, err }
	}
	wantKind(t, n.registry(t, oci.Endpoint{URL: home, Auth: fail(errors.New("vault is sealed"))}).Ping(t.Context()), tidewaiter.ErrAuth, "vault is sealed")
	limit := tidewaiter.Errorf(tidewaiter.ErrLimit, "too many")
	wantKind(t, n.registry(t, oci.Endpoint{URL: home, Auth: fail(limit)}).Ping(t.Context()), tidewaiter.ErrLimit)
	if got := n.requests(""); got != nil {
		t.Errorf("sent %v", got)
	}
}

func TestInsufficientScopeIsDeniedNotAuth(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			_, _ = w.Write([]byte(`{"token":"x"}`))
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example.com/token",service="s",scope="repository:app:pull",error="insufficient_scope"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}}
	_, _, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password)}).Tags(t.Context(), "app", "")
	wantKind(t, err, tidewaiter.ErrDenied)
}

func TestCredentialPrintsNothing(t *testing.T) {
	c := oci.Credential{Username: "u", Password: password, IdentityToken: password, AccessToken: password}
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "c", c)
	j, err := json.Marshal(map[string]any{"c": c})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, &c), string(j), b.String()} {
		if strings.Contains(s, password) {
			t.Errorf("%q shows the secret", s)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	schemes, params := oci.ParseChallenges([]string{
		`Negotiate, Bearer realm="https://a/\"t\"",service=reg , scope="a:b:c,d",error="x", Basic realm=simple`, `Digest`, `,,=`,
	})
	if diff := cmp.Diff([]string{"negotiate", "bearer", "basic", "digest"}, schemes); diff != "" {
		t.Fatal(diff)
	}
	want := map[string]string{"realm": `https://a/"t"`, "service": "reg", "scope": "a:b:c,d", "error": "x"}
	if diff := cmp.Diff(want, params[1]); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s",scope="x"`)
	f.Add(`Basic realm="a", Bearer`)
	f.Add(`Bearer a=b=c, "`)
	f.Fuzz(func(t *testing.T, h string) {
		schemes, _ := oci.ParseChallenges([]string{h})
		if len(schemes) > 8 {
			t.Fatalf("%d challenges", len(schemes))
		}
	})
}
