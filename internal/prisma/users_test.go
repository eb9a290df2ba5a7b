package prisma_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsers(t *testing.T) {
	c := start(t)
	const other = "another password"
	as := func(name, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, password) }
	}
	status := func(method, path, body string, change ...func(*http.Request)) int {
		return c.call(method, path, body, change...).status
	}
	c.ok("POST", "/users", `{"username":"jane","password":"`+password+`","role":"operator","authType":"basic"}`)
	if a := c.call("GET", "/users", "", as("jane", password)); a.status != 403 {
		t.Errorf("an operator reads users: %d", a.status)
	}
	if got := status("PUT", "/settings/scan", ""); got != 405 {
		t.Errorf("PUT on settings/scan: %d", got)
	}
	c.ok("PUT", "/users", `{"username":"jane","role":"auditor"}`)
	if got := status("POST", "/registry/scan", "", as("jane", password)); got != 403 {
		t.Errorf("an auditor scans: %d", got)
	}
	if got := status("PUT", "/users/password", `{"oldPassword":"wrong","newPassword":"`+other+`"}`, as("jane", password)); got != 400 {
		t.Errorf("a wrong old password: %d", got)
	}
	if a := c.call("PUT", "/users/password", `{"oldPassword":"`+password+`","newPassword":"`+other+`"}`, as("jane", password)); a.status != 200 || a.body != "" {
		t.Errorf("a new password: %d %s", a.status, a.body)
	}
	if old, now := status("GET", "/version", "", as("jane", password)), status("GET", "/version", "", as("jane", other)); old != 401 || now != 200 {
		t.Errorf("the old password %d, the new one %d", old, now)
	}
	c.ok("PUT", "/users", `{"username":"jane","role":"ci","password":"`+password+`"}`)
	if got := status("GET", "/version", "", as("jane", password)); got != 200 {
		t.Errorf("the password the administrator gave: %d", got)
	}
	type shown struct{ Username, Role, AuthType, Password string }
	want := []shown{{"admin", "admin", "basic", ""}, {"auditor", "auditor", "basic", ""}, {"ci", "ci", "basic", ""}, {"jane", "ci", "basic", ""}}
	if diff := cmp.Diff(want, get[[]shown](c, "/users")); diff != "" {
		t.Error(diff)
	}
	c.ok("DELETE", "/users/jane", "")
	if got := status("GET", "/version", "", as("jane", password)); got != 401 {
		t.Errorf("a deleted user: %d", got)
	}
	c.ok("POST", "/users", `{"username":"second","password":"`+password+`","role":"admin"}`)
	if got := status("DELETE", "/users/admin", "", as("second", password)); got != 200 {
		t.Errorf("one of two administrators goes: %d", got)
	}
	if got := status("PUT", "/users", `{"username":"second","role":"auditor"}`, as("second", password)); got != 409 {
		t.Errorf("the last administrator steps down: %d", got)
	}
}
