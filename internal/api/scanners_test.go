package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/opinion"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// withScanners has the control ask scanners, on this machine only.
func withScanners(s *server, keys *secret.Keyring) *opinion.Asker {
	return opinion.New(opinion.Config{Store: s.store, Jobs: s.jobs, Keyring: keys, UserAgent: "tidewaiter/test", Now: time.Now, Log: s.log,
		Outbound: oci.NewOutbound(oci.OutboundOptions{AllowLoopback: true, AllowPrivate: true}),
		Lend: func(context.Context, string, string, tidewaiter.ScannerLend) (opinion.Loan, error) {
			return opinion.Loan{}, tidewaiter.Errorf(tidewaiter.ErrBug, "nothing is pulled in these tests")
		}})
}

func TestScanners(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		var shown atomic.Value
		answer := func(w http.ResponseWriter, r *http.Request) {
			shown.Store(r.Header.Get("Authorization"))
			if r.URL.Path != "/s3cr3tp4th-of-some-length/api/v1/metadata" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/vnd.scanner.adapter.metadata+json; version=1.1")
			_, _ = w.Write([]byte(`{"scanner":{"name":"Other","vendor":"V","version":"3"},"capabilities":[{"type":"vulnerability",` +
				`"produces_mime_types":["application/vnd.security.vulnerability.report; version=1.1"]}]}`))
		}
		scanner, second := httptest.NewServer(http.HandlerFunc(answer)), httptest.NewServer(http.HandlerFunc(answer))
		defer scanner.Close()
		defer second.Close()
		c, ctx := s.as(tidewaiter.RoleOperator), t.Context()
		const path = "/s3cr3tp4th-of-some-length"
		draft := client.ScannerDraft{Name: "other", URL: scanner.URL + path, Login: "basic", Username: "me", Secret: "pa55word", AllRegistries: true}
		added, err := c.AddScanner(ctx, draft)
		s.must(err)
		if added.About.Name != "Other" || added.About.Version != "3" || added.Address != scanner.URL || added.MaxAge != "24h0m0s" || added.Lend != "auto" ||
			added.Parallel != 4 || shown.Load() != "Basic bWU6cGE1NXdvcmQ=" {
			t.Errorf("%+v, logged in with %v", added, shown.Load())
		}
		got, err := s.as(tidewaiter.RoleAuditor).Scanner(ctx, added.ID)
		s.must(err)
		if list, err := c.Scanners(ctx); err != nil || len(list) != 1 || list[0].ID != got.ID {
			t.Errorf("%+v %v", list, err)
		}
		for _, path := range []string{"/scanners", "/scanners/" + added.ID} {
			if _, _, body := s.call("GET", path, ""); strings.Contains(body, "s3cr3t") || strings.Contains(body, "pa55word") {
				t.Errorf("%s shows %s", path, body)
			}
		}
		_, err = c.AddScanner(ctx, draft)
		s.wantProblem(err, 409, tidewaiter.ErrConflict)
		_, err = s.as(tidewaiter.RoleAuditor).AddScanner(ctx, draft)
		s.wantProblem(err, 403, tidewaiter.ErrForbidden)
		_, err = s.as(tidewaiter.RoleAuditor).AskScanner(ctx, added.ID, client.ScannerQuestion{})
		s.wantProblem(err, 403, tidewaiter.ErrForbidden)
		for _, bad := range []struct {
			field, text string
			change      func(*client.ScannerDraft)
		}{
			{"name", "needs a name", func(d *client.ScannerDraft) { d.Name = " " }},
			{"login", "no way to log in", func(d *client.ScannerDraft) { d.Login = "magic" }},
			{"username", "without a colon", func(d *client.ScannerDraft) { d.Username = "a:b" }},
			{"username", "basic only", func(d *client.ScannerDraft) { d.Login = "bearer" }},
			{"secret", "needs a secret", func(d *client.ScannerDraft) { d.Secret = "" }},
			{"secret", "no way to log in", func(d *client.ScannerDraft) { d.Login, d.Username = "", "" }},
			{"secret", "cannot be sent", func(d *client.ScannerDraft) { d.Login, d.Username, d.Secret = "apikey", "", "a\r\nb" }},
			{"lend", "everything", func(d *client.ScannerDraft) { d.Lend = "everything" }},
			{"maxAge", "not a duration", func(d *client.ScannerDraft) { d.MaxAge = "a day" }},
			{"maxAge", "between", func(d *client.ScannerDraft) { d.MaxAge = "1s" }},
			{"parallel", "at once", func(d *client.ScannerDraft) { d.Parallel = 1000 }},
			{"registries", "and some", func(d *client.ScannerDraft) { d.Registries = []string{"r"} }},
			{"registries", "no registry", func(d *client.ScannerDraft) { d.AllRegistries, d.Registries = false, []string{"none"} }},
			{"url", "neither https nor http", func(d *client.ScannerDraft) { d.URL = "ftp://example.com" }},
			{"url", "needs an address", func(d *client.ScannerDraft) { d.URL = "" }},
			{"url", "user or password", func(d *client.ScannerDraft) { d.URL = "https://user:pass@example.com" }},
			{"url", "link-local address 169.254", func(d *client.ScannerDraft) { d.URL = "http://169.254.169.254/latest" }},
			{"url", "404", func(d *client.ScannerDraft) { d.URL = scanner.URL }},
			{"url", "unchecked", func(d *client.ScannerDraft) { d.URL = "http://127.0.0.1:1" }},
			{"tls.caCert", "", func(d *client.ScannerDraft) { d.TLS.CACert = "nonsense" }},
		} {
			wrong := draft
			wrong.Name = "another"
			bad.change(&wrong)
			sent, err := json.Marshal(wrong)
			s.must(err)
			status, _, answer := s.call("POST", "/scanners", string(sent))
			if status != http.StatusUnprocessableEntity || !strings.Contains(answer, `"location":"`+bad.field+`"`) || !strings.Contains(answer, bad.text) ||
				strings.Contains(answer, "s3cr3t") || strings.Contains(answer, "pa55word") {
				t.Errorf("%s: %d %s", bad.field, status, answer)
			}
		}

		// A secret stays with its host; the rest is as it is given.
		moved := client.ScannerDraft{Name: "other", URL: second.URL + path, Login: "basic", Username: "me"}
		_, err = c.ChangeScanner(ctx, added.ID, moved)
		s.wantProblem(err, 422, tidewaiter.ErrInvalid)
		moved.Secret = "an0ther"
		changed, err := c.ChangeScanner(ctx, added.ID, moved)
		s.must(err)
		if changed.Address != second.URL || changed.AllRegistries || shown.Load() != "Basic bWU6YW4wdGhlcg==" {
			t.Errorf("%+v, logged in with %v", changed, shown.Load())
		}
		moved.URL, moved.Secret, moved.Disabled = "", "", true
		changed, err = c.ChangeScanner(ctx, added.ID, moved)
		s.must(err)
		if changed.Address != second.URL || !changed.Disabled || shown.Load() != "Basic bWU6YW4wdGhlcg==" {
			t.Errorf("%+v, logged in with %v", changed, shown.Load())
		}
		_, err = c.AskScanner(ctx, added.ID, client.ScannerQuestion{})
		s.wantProblem(err, 409, tidewaiter.ErrConflict)
		validated, err := c.ValidateScanner(ctx, added.ID)
		s.must(err)
		if validated.About.CheckedAt.IsZero() || !validated.UpdatedAt.Equal(changed.UpdatedAt.Truncate(time.Microsecond)) {
			t.Errorf("%+v", validated)
		}
		second.Close()
		_, err = c.ValidateScanner(ctx, added.ID)
		if e := s.wantProblem(err, 502, tidewaiter.ErrUnreachable); e != nil && !strings.Contains(e.Fix, "see whether the scanner runs") {
			t.Errorf("%+v", e)
		}
		s.must(c.RemoveScanner(ctx, added.ID))
		s.wantProblem(c.RemoveScanner(ctx, added.ID), 404, tidewaiter.ErrNotFound)

		unchecked, err := c.AddScanner(ctx, client.ScannerDraft{Name: "later", URL: "http://127.0.0.1:1", Unchecked: true})
		s.must(err)
		if unchecked.About.Name != "" || unchecked.Login != "none" {
			t.Errorf("%+v", unchecked)
		}
	})
}
