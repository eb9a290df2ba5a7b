package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// refusing is a registry that cannot be scanned, and what a user must be told about it.
type refusing struct {
	name, url          string
	username, password string
	kind               tidewaiter.ErrorKind
	says               []string // what is wrong, with whom
	fix                string   // what to do
}

// refusals are the usual reasons, each with a registry of its own.
func refusals(t *testing.T) []refusing {
	locked := testkit.Registry(t, testkit.Options{Username: "reader", Password: "harbour-pilot"})
	expired := testkit.Registry(t, testkit.Options{TLS: testkit.TLSExpired})
	closed := testkit.NewFaults(t, testkit.Registry(t, testkit.Options{}).URL, nil)
	closed.Add(t, testkit.Fault{Path: `^/v2/_catalog`, Status: http.StatusForbidden, Body: `{"errors":[{"code":"DENIED","message":"denied"}]}`})
	return []refusing{
		{name: "wrong password", url: locked.URL, username: "reader", password: "not-the-password",
			kind: tidewaiter.ErrAuth, says: []string{locked.Host, "refused"}, fix: "check user name and password"},
		{name: "unknown host", url: "https://registry.invalid",
			kind: tidewaiter.ErrUnreachable, says: []string{"no host named registry.invalid"}, fix: "check the address"},
		{name: "expired certificate", url: expired.URL,
			kind: tidewaiter.ErrTLS, says: []string{"certificate", expired.Host, "expired on"}, fix: "renew the registry's certificate"},
		{name: "forbidden catalog", url: closed.URL,
			kind: tidewaiter.ErrDenied, says: []string{closed.Host, "does not show its list of repositories"}, fix: "name the repositories to look at"},
	}
}

// about reports what a message fails to say.
func (r refusing) about(message string) error {
	for _, part := range append(slices.Clone(r.says), r.fix) {
		if !strings.Contains(message, part) {
			return fmt.Errorf("%s: %q does not say %q", r.name, message, part)
		}
	}
	if r.password != "" && strings.Contains(message, r.password) {
		return fmt.Errorf("%s: %q tells the password", r.name, message)
	}
	return nil
}

// TestPrismaTellsWhyARegistryCannotBeScanned declares one registry of each sort and a good one, which they must not harm.
func TestPrismaTellsWhyARegistryCannotBeScanned(t *testing.T) {
	t.Parallel()
	all := refusals(t)
	good, _ := fleet(t, 2)
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: []string{good.Host + "/none:1"}})
		c := vendor{s.URL()}
		specifications := []map[string]any{{"version": "2", "registry": good.URL, "repository": "", "os": "linux", "cap": 5}}
		for i, r := range all {
			spec := map[string]any{"version": "2", "registry": r.url, "os": "linux", "cap": 5}
			if r.username != "" {
				id := fmt.Sprintf("login-%d", i)
				c.write(t, "POST", "/api/v1/credentials", map[string]any{"_id": id, "type": "basic", "accountID": r.username,
					"secret": map[string]string{"plain": r.password}})
				spec["credentialID"] = id
			}
			specifications = append(specifications, spec)
		}
		c.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": specifications})
		s.finished(t)

		var settings struct {
			Specifications []struct {
				Registry, ScanError, ScanStatus, LastScanStatus string
				ScannedImagesSuccessTotal                       int
			}
		}
		c.read(t, "/api/v1/settings/registry", &settings)
		var statuses struct {
			Completed bool
			Errors    []string
		}
		c.read(t, "/api/v1/statuses/registry", &statuses)
		if len(settings.Specifications) != len(all)+1 || !statuses.Completed {
			t.Fatalf("%d specifications, completed %v", len(settings.Specifications), statuses.Completed)
		}
		if first := settings.Specifications[0]; first.ScanStatus != "completed" || first.ScanError != "" || first.ScannedImagesSuccessTotal != 2 {
			t.Errorf("the good registry: %+v", first)
		}
		messages := map[string]bool{}
		for i, r := range all {
			spec := settings.Specifications[i+1]
			if spec.ScanStatus != "failed" {
				t.Errorf("%s: status %s", r.name, spec.ScanStatus)
			}
			if err := r.about(spec.ScanError); err != nil {
				t.Error(err)
			}
			if !slices.ContainsFunc(statuses.Errors, func(e string) bool { return r.about(e) == nil }) {
				t.Errorf("%s: the status shows %q", r.name, statuses.Errors)
			}
			messages[spec.ScanError] = true
		}
		if len(messages) != len(all) {
			t.Errorf("%d different messages for %d errors", len(messages), len(all))
		}
		kinds := map[tidewaiter.ErrorKind]bool{}
		for id, scan := range s.finished(t) {
			for _, e := range scan.Errors {
				kinds[e.Kind] = true
				t.Logf("%s: %s: %s", id, e.Kind, e.Text)
			}
		}
		for _, r := range all {
			if !kinds[r.kind] {
				t.Errorf("%s: no error of kind %s among %v", r.name, r.kind, kinds)
			}
		}
	})
}

// TestQualysTellsWhyARegistryIsNotValid asks for a validation of each, which stores nothing.
func TestQualysTellsWhyARegistryIsNotValid(t *testing.T) {
	t.Parallel()
	all := refusals(t)
	good, _ := fleet(t, 1)
	s := start(t, app.Config{Advisories: []string{good.Host + "/none:1"}})
	c := vendor{s.URL()}
	request := func(name string, r refusing) map[string]any {
		body := map[string]any{"registryName": name, "registryType": "V2_PRIVATE", "registryUri": r.url, "credentialType": "None"}
		if r.username != "" {
			b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
			body["credentialType"], body["credential"] = "BasicAuth", map[string]string{"username": b64(r.username), "password": b64(r.password)}
		}
		return body
	}
	if status, answer := c.call(t, "POST", "/csapi/v1.3/registry/validate", request("good", refusing{url: good.URL})); status != http.StatusOK {
		t.Errorf("a good registry: %d %s", status, answer)
	}
	messages := map[string]bool{}
	for i, r := range all {
		status, answer := c.call(t, "POST", "/csapi/v1.3/registry/validate", request(fmt.Sprintf("bad-%d", i), r))
		var body struct{ ErrorCode, Message string }
		if err := json.Unmarshal([]byte(answer), &body); err != nil || status != http.StatusBadRequest || body.ErrorCode != "400 BAD REQUEST" {
			t.Errorf("%s: %d %s", r.name, status, answer)
			continue
		}
		t.Logf("%s: %s", r.name, body.Message)
		if err := r.qualys(body.Message); err != nil {
			t.Error(err)
		}
		messages[body.Message] = true
	}
	if len(messages) != len(all) {
		t.Errorf("%d different messages for %d errors", len(messages), len(all))
	}
	var list struct{ Count int }
	if c.read(t, "/csapi/v1.3/registry", &list); list.Count != 0 {
		t.Errorf("%d registries were stored", list.Count)
	}
}

// qualys is about, with what the vendor's clients allow. Qualys: they hide messages that hold one of these words.
func (r refusing) qualys(message string) error {
	for _, word := range []string{"token", "key", "secret", "password", "credential", "auth"} {
		if strings.Contains(strings.ToLower(message), word) {
			return fmt.Errorf("%s: %q holds the word %q, so clients hide it", r.name, message, word)
		}
	}
	switch host, _, _ := strings.Cut(tidewaiter.HostOf(r.url), ":"); r.kind {
	case tidewaiter.ErrAuth:
		r.says, r.fix = []string{tidewaiter.HostOf(r.url), "refused the login"}, "check the user name"
	case tidewaiter.ErrTLS:
		r.says[1] = host // the step before HTTP knows no more
	case tidewaiter.ErrDenied:
		r.says, r.fix = []string{tidewaiter.HostOf(r.url), "does not let it list"}, "name repositories"
	}
	return r.about(message)
}
