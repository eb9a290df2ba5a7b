package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// issuers are both styles of token.
func (f *fixture) issuers() map[string]func(tidewaiter.User) (string, error) {
	return map[string]func(tidewaiter.User) (string, error){
		"prisma": f.IssuePrisma,
		"qualys": func(u tidewaiter.User) (string, error) { return f.IssueQualys(u, remote) },
	}
}

func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	payload, err := base64.StdEncoding.DecodeString(parts[1]) // strict about alphabet and padding
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(payload, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPrismaClaims(t *testing.T) {
	f := newFixture(t)
	token, err := f.IssuePrisma(f.user(t, admin))
	if err != nil {
		t.Fatal(err)
	}
	got := claims(t, token)
	if len(got["rolePerms"].([]any)) == 0 || len(got["cred"].(string)) == 0 {
		t.Errorf("%v", got)
	}
	delete(got, "rolePerms")
	delete(got, "cred")
	want := map[string]any{"user": admin, "role": "admin", "groups": []any{}, "iss": "twistlock",
		"permissions": []any{map[string]any{"project": "Central Console"}}, "sessionTimeoutSec": 1800.0,
		"exp": float64(f.clock.now().Unix() + 1800)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestQualysClaims(t *testing.T) {
	f := newFixture(t)
	token, err := f.IssueQualys(f.user(t, admin), remote)
	if err != nil {
		t.Fatal(err)
	}
	got := claims(t, token)
	if got["portalUserId"].(float64) < 1 || got["portalUserId"] != got["qwebUserId"] {
		t.Errorf("%v", got)
	}
	for _, k := range []string{"cred", "portalUserId", "qwebUserId"} {
		delete(got, k)
	}
	now := float64(f.clock.now().Unix())
	want := map[string]any{"sub": admin, "loginResponse": "SUCCESSFUL", "successfulAuthenticationHandlers": []any{"FOUserAuthenticationHandler"},
		"iss": "qas", "aud": "qas", "ipAddress": "192.0.2.1", "usertype": "fo", "credentialType": "UsernamePasswordCredential",
		"modulesAllowed": []any{"ADMIN", "ASSET INVENTORY", "CS"}, "iat": now, "exp": now + 4*3600}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPayloadReadsInEitherAlphabet(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{admin, "?", "~~~", ">>>?", "\x7f\x7f", "müller", "😀", "a@b.example~??>"} {
		checkPayload(t, f, name)
	}
	rapid.Check(t, func(r *rapid.T) { checkPayload(r, f, rapid.String().Draw(r, "name")) })
}

func checkPayload(t interface{ Fatalf(string, ...any) }, f *fixture, name string) {
	for style, issue := range f.issuers() {
		token, err := issue(tidewaiter.User{Name: name, Role: tidewaiter.RoleAdmin})
		if err != nil {
			t.Fatalf("%v", err)
		}
		segment := strings.Split(token, ".")[1]
		payload, err := base64.StdEncoding.DecodeString(segment)
		if err != nil || strings.ContainsAny(segment, "-_") {
			t.Fatalf("%s token of %q: %q, %v", style, name, segment, err)
		}
		var c struct{ User, Sub string }
		if err := json.Unmarshal(payload, &c); err != nil || c.User+c.Sub != name {
			t.Fatalf("%s token of %q is for %q, %v", style, name, c.User+c.Sub, err)
		}
	}
}

func TestVerify(t *testing.T) {
	for _, style := range []string{"prisma", "qualys"} {
		t.Run(style, func(t *testing.T) {
			f := newFixture(t)
			issue := func() string {
				token, err := f.issuers()[style](f.user(t, admin))
				if err != nil {
					t.Fatal(err)
				}
				return token
			}
			life := map[string]time.Duration{"prisma": auth.PrismaTokenLife, "qualys": auth.QualysTokenLife}[style]
			token := issue()
			if u, err := f.Verify(t.Context(), token); err != nil || u.Name != admin {
				t.Fatalf("%+v, %v", u, err)
			}

			f.clock.advance(life - time.Second)
			if _, err := f.Verify(t.Context(), token); err != nil {
				t.Errorf("a second before its end: %v", err)
			}
			f.clock.advance(2 * time.Second)
			_, err := f.Verify(t.Context(), token)
			wantKind(t, err, tidewaiter.ErrUnauthorized)
			if !strings.Contains(err.Error(), "JWT expired") {
				t.Errorf("expired: %v", err)
			}

			token = issue()
			f.users.change(admin, func(u *tidewaiter.User) { u.Role, u.LastLogin = tidewaiter.RoleCI, f.clock.now() })
			if u, err := f.Verify(t.Context(), token); err != nil || u.Role != tidewaiter.RoleCI {
				t.Errorf("the role is that of the token: %+v, %v", u, err)
			}
			if err := f.SetPassword(t.Context(), admin, "another password"); err != nil {
				t.Fatal(err)
			}
			_, err = f.Verify(t.Context(), token)
			wantKind(t, err, tidewaiter.ErrUnauthorized)

			token = issue()
			f.users.err = tidewaiter.Errorf(tidewaiter.ErrTransient, "the database is away")
			_, err = f.Verify(t.Context(), token)
			wantKind(t, err, tidewaiter.ErrTransient)
			f.users.err = nil
			f.users.remove(admin)
			_, err = f.Verify(t.Context(), token)
			wantKind(t, err, tidewaiter.ErrUnauthorized)
			if _, err := f.Bootstrap(t.Context(), admin, "another password"); err != nil {
				t.Fatal(err)
			}
			_, err = f.Verify(t.Context(), token) // the same name and password, but somebody else
			wantKind(t, err, tidewaiter.ErrUnauthorized)

			token = issue()
			if err := f.keys.Rotate(); err != nil {
				t.Fatal(err)
			}
			_, err = f.Verify(t.Context(), token)
			wantKind(t, err, tidewaiter.ErrUnauthorized)
		})
	}
}

// without returns the claims but one.
func without(c jwt.MapClaims, k string) jwt.MapClaims {
	out := maps.Clone(c)
	delete(out, k)
	return out
}

// with returns the claims with one changed.
func with(c jwt.MapClaims, k string, v any) jwt.MapClaims {
	out := maps.Clone(c)
	out[k] = v
	return out
}

// TestForgedTokens holds that nothing but an unchanged token of ours passes. The claims of each forgery are those of a
// good one; only how it is signed differs.
func TestForgedTokens(t *testing.T) {
	f := newFixture(t)
	good := map[string]jwt.MapClaims{}
	for style, issue := range f.issuers() {
		token, err := issue(f.user(t, admin))
		if err != nil {
			t.Fatal(err)
		}
		good[style] = claims(t, token)
	}
	key := func(purpose string, n int) []byte {
		k, err := f.keys.Derive(purpose, n)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	prismaKey, qualysKey := key("token/prisma", 32), key("token/qualys", 64)
	signed := func(m jwt.SigningMethod, k any, c jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(m, c).SignedString(k)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, ok := range []string{signed(jwt.SigningMethodHS256, prismaKey, good["prisma"]), signed(jwt.SigningMethodHS512, qualysKey, good["qualys"])} {
		if _, err := f.Verify(t.Context(), ok); err != nil {
			t.Fatalf("the test's own signing is wrong: %v", err)
		}
	}
	p, q := good["prisma"], good["qualys"]
	forgeries := map[string]string{
		"none":                      signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, p),
		"none, qualys":              signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, q),
		"another key":               signed(jwt.SigningMethodHS256, make([]byte, 32), p),
		"empty key":                 signed(jwt.SigningMethodHS256, []byte{}, p),
		"another method":            signed(jwt.SigningMethodHS384, prismaKey, p),
		"other method, own key":     signed(jwt.SigningMethodHS512, prismaKey, p),
		"other method, its key":     signed(jwt.SigningMethodHS512, qualysKey, p),
		"qualys by prisma's method": signed(jwt.SigningMethodHS256, prismaKey, q),
		"no expiry":                 signed(jwt.SigningMethodHS256, prismaKey, without(p, "exp")),
		"no issuer":                 signed(jwt.SigningMethodHS256, prismaKey, without(p, "iss")),
		"no password mark":          signed(jwt.SigningMethodHS256, prismaKey, without(p, "cred")),
		"another's name":            signed(jwt.SigningMethodHS256, prismaKey, with(p, "user", "nobody")),
		"no name":                   signed(jwt.SigningMethodHS256, prismaKey, without(p, "user")),
		"wrong types":               signed(jwt.SigningMethodHS256, prismaKey, with(p, "user", []int{1})),
		"not yet valid":             signed(jwt.SigningMethodHS256, prismaKey, with(p, "nbf", f.clock.now().Add(time.Hour).Unix())),
		"empty":                     "",
		"dots":                      "..",
		"rubbish":                   "a.b.c",
		"long":                      strings.Repeat("a.", 10_000),
	}
	for name, token := range forgeries {
		_, err := f.Verify(t.Context(), token)
		e, ok := errors.AsType[*tidewaiter.Error](err)
		if !ok || e.Kind != tidewaiter.ErrUnauthorized {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "expired") || len(token) > 4 && strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := auth.New(auth.Config{Users: f.users, Keys: other, Params: params(), Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := elsewhere.IssueQualys(f.user(t, admin), remote)
	_, err = f.Verify(t.Context(), token)
	wantKind(t, err, tidewaiter.ErrUnauthorized)
}

func TestTamperedTokens(t *testing.T) {
	f := newFixture(t)
	for style, issue := range f.issuers() {
		token, err := issue(f.user(t, admin))
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(r *rapid.T) {
			b := []byte(token)
			at := rapid.IntRange(0, len(b)-1).Draw(r, "at")
			b[at] = rapid.SampledFrom([]byte("ABCxyz019-_.")).Draw(r, "byte")
			if at == len(b)-1 || string(b) == token { // the last digit has bits that mean nothing
				return
			}
			if _, err := f.Verify(context.Background(), string(b)); tidewaiter.KindOf(err) != tidewaiter.ErrUnauthorized {
				r.Fatalf("%s: %v", style, err)
			}
		})
	}
}

func TestAuthenticate(t *testing.T) {
	f := newFixture(t)
	prisma, _ := f.IssuePrisma(f.user(t, admin))
	qualys, _ := f.IssueQualys(f.user(t, admin), remote)
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	if err := f.CreateUser(t.Context(), "ann", tidewaiter.RoleCI, "with:colon:é"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, header, user string
		message            string
	}{
		{"basic", basic("admin:" + password), admin, ""},
		{"basic, any case", "bAsIc " + strings.TrimPrefix(basic("admin:"+password), "Basic "), admin, ""},
		{"basic, no padding", strings.TrimRight(basic("admin:"+password), "="), admin, ""},
		{"basic, colons in the password", basic("ann:with:colon:é"), "ann", ""},
		{"basic, wrong", basic("admin:wrong"), "", "the user name or password is wrong"},
		{"basic, no colon", basic("admin"), "", "the user name or password is wrong"},
		{"basic, not base64", "Basic %%%", "", "the user name or password is wrong"},
		{"basic, empty", "Basic", "", "the user name or password is wrong"},
		{"bearer, prisma", "Bearer " + prisma, admin, ""},
		{"bearer, qualys", "bearer  " + qualys, admin, ""},
		{"bearer, rubbish", "Bearer abc", "", "the token is not valid"},
		{"bearer, empty", "Bearer", "", "authentication is required"},
		{"bearer, blank", "Bearer ", "", "authentication is required"},
		{"nothing", "", "", "authentication is required"},
		{"another scheme", "Digest x", "", "the authentication scheme is not supported"},
		{"long", "Bearer " + strings.Repeat("x", 1<<16), "", "the user name or password is wrong"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
			u, err := f.Authenticate(r)
			if test.message == "" {
				if err != nil || u.Name != test.user {
					t.Errorf("%q, %v", u.Name, err)
				}
				return
			}
			wantKind(t, err, tidewaiter.ErrUnauthorized)
			if e, _ := errors.AsType[*tidewaiter.Error](err); e.Msg != test.message {
				t.Errorf("%q, want %q", e.Msg, test.message)
			}
		})
	}
}

func FuzzAuthenticate(f *testing.F) {
	f.Add("Basic YTpi")
	f.Add("Bearer a.b.c")
	f.Add("Bearer eyJhbGciOiJub25lIn0.e30.")
	f.Add("basic")
	f.Fuzz(func(t *testing.T, header string) {
		s := newFixture(t)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{header}
		if u, err := s.Authenticate(r); err == nil {
			t.Errorf("%q is %q", header, u.Name)
		}
	})
}
