package qualys_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func anonymous(r *http.Request) { r.Header.Del("Authorization") }

func bearer(token string) func(*http.Request) { return header("Authorization", "Bearer "+token) }

// token logs in the way the gateway's clients do.
func (c *console) token(body string, change ...func(*http.Request)) answer {
	c.Helper()
	return c.call("POST", "/auth", body, append([]func(*http.Request){anonymous}, change...)...)
}

func TestAuth(t *testing.T) {
	c := start(t)
	form := url.Values{"username": {"admin"}, "password": {password}, "token": {"true"}, "permissions": {"true"}}.Encode()
	a := c.token(form, header("ContentType", "application/x-www-form-urlencoded"))
	if a.status != http.StatusCreated || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%+v", a)
	}
	parts := strings.Split(a.body, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", a.body)
	}
	payload, err := base64.StdEncoding.DecodeString(parts[1]) // as one client does
	c.must(err)
	var claims struct {
		ModulesAllowed []string
		Iat, Exp       int64
	}
	c.must(json.Unmarshal(payload, &claims))
	if !slices.Contains(claims.ModulesAllowed, "CS") || claims.Exp-claims.Iat != 4*3600 {
		t.Errorf("%+v", claims)
	}
	for _, path := range []string{"/csapi/v1.1/registry", "/csapi/v1.2/registry", "/csapi/v1.3/registry/"} {
		want[map[string]any](c, 200, "GET", path, "", bearer(a.body))
		want[map[string]any](c, 200, "GET", path, "")
	}
	c.clock.forward(4*time.Hour + time.Second)
	expired := c.call("GET", "/registry", "", bearer(a.body))
	if expired.status != 401 || !strings.Contains(expired.body, "JWT expired") || !strings.Contains(expired.body, `"errorCode":"401 UNAUTHORIZED"`) {
		t.Errorf("%+v", expired)
	}
}

func TestAuthReadsWhatClientsForgetToEncode(t *testing.T) {
	c := start(t)
	c.must(c.auth.CreateUser(t.Context(), "odd", tidewaiter.RoleAuditor, "p+ss%&word=1 2"))
	for _, body := range []string{
		"username=odd&password=p%2Bss%25%26word%3D1+2&token=true",
		"username=odd&password=p+ss%&word=1 2&token=true",
		"token=true&permissions=true&username=odd&password=p+ss%&word=1 2",
	} {
		if a := c.token(body); a.status != 201 {
			t.Errorf("%s: %+v", body, a)
		}
		c.clock.forward(time.Hour) // a wrong reading counts as a failed login
	}
}

func TestAuthRefuses(t *testing.T) {
	c := start(t)
	for body, status := range map[string]int{
		"": 400, "token=true": 400, "username=&password=x": 400, "username=admin&password=letmein&token=true": 401, "username=nobody&password=x": 401,
	} {
		a := c.token(body)
		var e map[string]any
		if a.status != status || json.Unmarshal([]byte(a.body), &e) != nil || e["errorCode"] == nil || e["timestamp"] == nil {
			t.Errorf("%q: %+v, want %d", body, a, status)
		}
		if strings.Contains(a.body, "letmein") {
			t.Errorf("%q: the password is shown back: %s", body, a.body)
		}
		c.clock.forward(time.Hour)
	}
	if a := c.call("GET", "/registry", "", anonymous); a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("%+v", a)
	}
	if a := c.call("GET", "/auth", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("%+v", a)
	}
	if a := c.token(strings.Repeat("x", 2<<20)); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%+v", a)
	}
}

func TestAuthVariants(t *testing.T) {
	c := start(t)
	a := c.call("POST", "/auth/oidc", "", anonymous, header("clientId", "ci"), header("clientSecret", password))
	if a.status != 200 || strings.Count(a.body, ".") != 2 {
		t.Errorf("%+v", a)
	}
	grant := want[map[string]string](c, 200, "POST", "/auth", "grant_type=client_credentials", anonymous, header("client_id", "ci"), header("client_secret", password))
	if strings.Count(grant["access_token"], ".") != 2 {
		t.Error(grant)
	}
	if a := c.call("POST", "/auth/oidc", "", anonymous); a.status != 400 {
		t.Errorf("%+v", a)
	}
}

func TestPermissions(t *testing.T) {
	c := start(t)
	for _, p := range []struct{ user, method, path, body, permission string }{
		{"auditor", "POST", "/registry", private("x", "https://x.example.com", "u", "p"), "CS.REGISTRY.UPDATE"},
		{"auditor", "POST", "/registry/validate", private("x", "https://x.example.com", "u", "p"), "CS.REGISTRY.UPDATE"},
		{"auditor", "DELETE", "/registry/x", "", "CS.REGISTRY.UPDATE"},
		{"ci", "GET", "/registry", "", "CS.REGISTRY.VIEW"},
	} {
		a := want[map[string]any](c, 403, p.method, p.path, p.body, asUser(p.user))
		says := "The " + p.user + " user does not have the " + p.permission + " permission to perform this operation. Ensure that required permissions are assigned to the user"
		if a["errorCode"] != "403 FORBIDDEN" || a["message"] != says {
			t.Errorf("%v", a)
		}
	}
	want[map[string]any](c, 200, "GET", "/images", "", asUser("ci"))
	want[map[string]any](c, 200, "GET", "/registry", "", asUser("auditor"))
}

func TestUnknownPaths(t *testing.T) {
	c := start(t)
	for _, path := range []string{"/csapi/v9/registry", "/csapi/v1.3/nothing", "/csapi/v1.3/namespaces", "/csapi", "/auth/other"} {
		want[map[string]any](c, 404, "GET", path, "")
	}
	a := c.call("PATCH", "/registry", "")
	if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, POST, DELETE" {
		t.Errorf("%+v", a)
	}
}
