package connectortest

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EndsLoudly holds that a listing that is cut, refused or answered with nonsense half-way is an error, and goes on where it
// stopped once all is well.
func (s *Emulated) EndsLoudly(t *testing.T, list func(*connector.Source, string) (int, string, error), total int) {
	t.Helper()
	source := s.Open(t)
	n, next, err := list(source, "")
	if err != nil || next == "" {
		t.Fatalf("first page: %d, %q, %v", n, next, err)
	}
	for _, c := range []struct {
		name  string
		fault emulator.Fault
		kind  tidewaiter.ErrorKind
	}{
		{"cut in the body", emulator.Fault{Cut: 40}, tidewaiter.ErrTransient},
		{"cut before the header", emulator.Fault{Cut: -1}, tidewaiter.ErrTransient},
		{"server error", emulator.Fault{Status: http.StatusBadGateway}, tidewaiter.ErrTransient},
		{"gone", emulator.Fault{Status: http.StatusNotFound, Body: "{}"}, tidewaiter.ErrGone},
		{"a login page", emulator.Fault{Status: http.StatusOK, Body: "<html>log in"}, tidewaiter.ErrMalformed},
		{"half a document", emulator.Fault{Status: http.StatusOK, Body: `{"results":[`}, tidewaiter.ErrTransient},
	} {
		s.inject(t, c.fault)
		some, after, err := list(source, next)
		s.Emulator.Heal()
		if err == nil {
			t.Errorf("%s: a page of %d, next %q, and no error", c.name, some, after)
		} else if kind := tidewaiter.KindOf(err); kind != c.kind && (c.kind != tidewaiter.ErrGone || kind != tidewaiter.ErrInvalid) { // a cursor too old
			t.Errorf("%s: %s, want %s: %v", c.name, kind, c.kind, err)
		}
	}
	for next != "" {
		some, after, err := list(source, next)
		if err != nil {
			t.Fatal(err)
		}
		n, next = n+some, after
	}
	if n != total {
		t.Errorf("%d, want %d", n, total)
	}
}

// WaitsWhenAsked holds that each way to ask for fewer requests is understood, and kept to by everybody.
func (s *Emulated) WaitsWhenAsked(t *testing.T, pauses ...emulator.Pause) {
	t.Helper()
	for _, pause := range pauses {
		source := s.Open(t)
		if _, _, err := source.Repositories(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		status := http.StatusTooManyRequests
		if pause == emulator.PauseXReset && s.Registry.Kind == tidewaiter.KindGHCR {
			status = http.StatusForbidden // GitHub: a limit reached is a 403
		}
		s.inject(t, emulator.Fault{Status: status, Pause: pause, Wait: 90 * time.Second})
		_, _, err := source.Repositories(t.Context(), "")
		s.Emulator.Heal()
		e, _ := errors.AsType[*tidewaiter.Error](err)
		if e == nil || e.Kind != tidewaiter.ErrLimit || e.RetryAfter < 80*time.Second || e.RetryAfter > 100*time.Second {
			t.Errorf("%s: %v", pause, err)
			continue
		}
		before := s.Emulator.Count()
		if _, _, err = source.Repositories(t.Context(), ""); tidewaiter.KindOf(err) != tidewaiter.ErrLimit || s.Emulator.Count() != before {
			t.Errorf("%s: %d requests during the pause, %v", pause, s.Emulator.Count()-before, err)
		}
	}
}

// SurvivesExpiry holds that tokens that end before their time are replaced without a failure.
func (s *Emulated) SurvivesExpiry(t *testing.T) {
	t.Helper()
	source := s.Open(t)
	for range 3 {
		if _, _, err := source.Repositories(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		PullsFrom(t, source, s.Repositories[0])
		s.Clock.Advance(time.Minute)
		s.Emulator.ExpireTokens()
	}
}

// attacker records what it is sent.
type attacker struct {
	url string // scheme and host

	mu   sync.Mutex
	seen []string
}

// is reports whether a request is for the attacker.
func (a *attacker) is(r *http.Request) bool { return a.url == r.URL.Scheme+"://"+r.URL.Host }

// between puts the attacker into a network.
func (a *attacker) between(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if !a.is(r) {
			return next.RoundTrip(r)
		}
		body := ""
		if r.Body != nil {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			body = string(b)
		}
		form, _ := url.ParseQuery(body) // which it need not be
		a.mu.Lock()
		defer a.mu.Unlock()
		for name, values := range r.Header {
			a.seen = append(a.seen, name+": "+strings.Join(values, " "))
		}
		for _, list := range []url.Values{form, r.URL.Query()} {
			for name, values := range list {
				a.seen = append(a.seen, name+"="+strings.Join(values, " "))
			}
		}
		return &http.Response{
			StatusCode: http.StatusNotFound, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("nothing here")), Request: r,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	})
}

// credentials returns what it was sent that is none of its business.
func (a *attacker) credentials() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.seen), func(s string) bool {
		for _, harmless := range []string{"User-Agent", "Accept", "Content-Length", "Content-Type", "Date:", "service=", "scope=", "X-Amz-Target", "X-Github-Api-Version", "Account:", "n=", "page"} {
			if strings.HasPrefix(s, harmless) {
				return true
			}
		}
		return !strings.Contains(s, ":") && !strings.Contains(s, "=")
	})
}
