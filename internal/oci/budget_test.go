package oci_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// refuseFirst answers 429 to the first n requests and remembers when each came.
type refuseFirst struct {
	n      int
	status int
	header func(h http.Header)
	mu     sync.Mutex
	times  []time.Time
}

func (s *refuseFirst) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.times = append(s.times, time.Now())
	k := len(s.times)
	s.mu.Unlock()
	if k <= s.n {
		if s.header != nil {
			s.header(w.Header())
		}
		w.WriteHeader(s.status)
		return
	}
	page(w, "", "a")
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header func(h http.Header)
		wait   time.Duration
	}{
		"seconds":         {429, func(h http.Header) { h.Set("Retry-After", "7") }, 7 * time.Second},
		"date":            {429, func(h http.Header) { h.Set("Retry-After", time.Now().Add(9*time.Second).UTC().Format(http.TimeFormat)) }, 9 * time.Second},
		"hub's timestamp": {429, func(h http.Header) { h.Set("X-Retry-After", fmt.Sprint(time.Now().Unix()+11)) }, 11 * time.Second},
		"reset":           {429, func(h http.Header) { h.Set("Ratelimit-Reset", "5") }, 5 * time.Second},
		"reset timestamp": {429, func(h http.Header) { h.Set("X-Ratelimit-Reset", fmt.Sprint(time.Now().Unix()+6)) }, 6 * time.Second},
		"none":            {429, nil, time.Second},
		"nonsense":        {429, func(h http.Header) { h.Set("Retry-After", "soon") }, time.Second},
		"503":             {503, func(h http.Header) { h.Set("Retry-After", "4") }, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &refuseFirst{n: 1, status: c.status, header: c.header}
				n := &network{hosts: map[string]http.Handler{"registry.example.com": s}}
				trace := oci.NewTrace(0)
				if _, _, err := n.registry(t, oci.Endpoint{URL: home, Trace: trace}).Tags(t.Context(), "app", ""); err != nil {
					t.Fatal(err)
				}
				if got := s.times[1].Sub(s.times[0]); got != c.wait {
					t.Errorf("waited %s, want %s", got, c.wait)
				}
				e := trace.Entries()
				if len(e) != 2 || e[0].Status != c.status || e[1].Try != 2 || e[1].Waited != c.wait || !strings.Contains(e[1].WaitedOn, "pause") {
					t.Errorf("trace %+v", e)
				}
			})
		})
	}
}

func TestLongWaitsGoBackToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &refuseFirst{n: 1, status: 429, header: func(h http.Header) { h.Set("Retry-After", "3600") }}
		n := &network{hosts: map[string]http.Handler{"registry.example.com": s, "other.example.com": text(200, `{"tags":[]}`)}}
		c := n.client()
		start := time.Now()
		r := open(t, c, oci.Endpoint{URL: home, CredentialKey: "k"})
		_, _, err := r.Tags(t.Context(), "app", "")
		wantRetryAfter(t, err, time.Hour)

		time.Sleep(time.Minute) // of the bubble's clock
		again := open(t, c, oci.Endpoint{URL: home, CredentialKey: "k"})
		_, _, err = again.Tags(t.Context(), "app", "")
		wantRetryAfter(t, err, 59*time.Minute)
		if len(s.times) != 1 || time.Since(start) != time.Minute {
			t.Errorf("%d requests in %s: somebody sent during the pause", len(s.times), time.Since(start))
		}
		for _, e := range []oci.Endpoint{{URL: home, CredentialKey: "another"}, {URL: "https://other.example.com", CredentialKey: "k"}} {
			if _, _, err := open(t, c, e).Tags(t.Context(), "app", ""); err != nil {
				t.Errorf("others are held back too: %v", err)
			}
		}
		time.Sleep(time.Hour)
		if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}

func wantRetryAfter(t *testing.T, err error, d time.Duration) {
	t.Helper()
	wantKind(t, err, tidewaiter.ErrLimit)
	if e, _ := errors.AsType[*tidewaiter.Error](err); e.RetryAfter != d {
		t.Errorf("RetryAfter %s, want %s", e.RetryAfter, d)
	}
}

func TestRetriesAreBounded(t *testing.T) {
	for _, status := range []int{429, 500, 502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			s := &refuseFirst{n: 1000, status: status}
			n := &network{hosts: map[string]http.Handler{"registry.example.com": s}}
			start := time.Now()
			_, _, err := open(t, oci.New(oci.Options{Transport: n}), oci.Endpoint{URL: home}).Tags(t.Context(), "app", "")
			want := tidewaiter.ErrTransient
			if status == 429 {
				want = tidewaiter.ErrLimit
			}
			wantKind(t, err, want)
			if len(s.times) != 4 || time.Since(start) > 30*time.Second {
				t.Errorf("%d tries in %s", len(s.times), time.Since(start))
			}
		})
	}
	n := &network{hosts: map[string]http.Handler{"registry.example.com": text(403, "")}}
	_, _, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", "")
	wantKind(t, err, tidewaiter.ErrDenied)
	if got := n.requests(""); len(got) != 1 {
		t.Errorf("a 403 was tried %d times", len(got))
	}
}

func TestRemainingZeroPausesUntilReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			times = append(times, time.Now())
			w.Header().Set("Ratelimit-Limit", "100;w=21600")
			w.Header().Set("Ratelimit-Remaining", "0;w=21600")
			w.Header().Set("Ratelimit-Reset", "12")
			page(w, "", "a")
		})}}
		b := oci.NewBudget(oci.Limits{}, nil)
		r := open(t, oci.New(oci.Options{Transport: n, Budget: b}), oci.Endpoint{URL: home, CredentialKey: "k"})
		for range 2 {
			if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
				t.Fatal(err)
			}
		}
		if got := times[1].Sub(times[0]); got != 12*time.Second {
			t.Errorf("waited %s", got)
		}
		s := b.Status()
		if len(s) != 1 || s[0].Host != "registry.example.com" || s[0].Credential != "k" || s[0].Limit != 100 || s[0].Remaining != 0 || s[0].Active != 0 ||
			!s[0].PausedUntil.Equal(times[1].Add(12*time.Second)) {
			t.Errorf("status %+v", s)
		}
	})
}

func TestConcurrencyAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		active, most := 0, 0
		n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			active++
			most = max(most, active)
			mu.Unlock()
			time.Sleep(time.Second) // of the bubble's clock
			mu.Lock()
			active--
			mu.Unlock()
			page(w, "", "a")
		})}}
		b := oci.NewBudget(oci.Limits{Concurrent: 3, PerSecond: 2, Burst: 1}, nil)
		r := open(t, oci.New(oci.Options{Transport: n, Budget: b}), oci.Endpoint{URL: home})
		start := time.Now()
		var wg sync.WaitGroup
		for range 21 {
			wg.Go(func() {
				if _, _, err := r.Tags(t.Context(), "app", ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most > 3 {
			t.Errorf("%d at once", most)
		}
		if d := time.Since(start); d != 11*time.Second {
			t.Errorf("21 requests at 2 a second took %s", d)
		}
	})
}

func TestBlobHoldsItsPlaceUntilClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{hosts: map[string]http.Handler{"registry.example.com": text(200, "x")}}
		b := oci.NewBudget(oci.Limits{Concurrent: 1}, nil)
		r := open(t, oci.New(oci.Options{Transport: n, Budget: b}), oci.Endpoint{URL: home})
		first, err := r.Blob(t.Context(), "app", describe([]byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Blob(t.Context(), "app", describe([]byte("x")))
		wantKind(t, err, tidewaiter.ErrLimit, "all places")
		first.Close()
		first.Close()
		second, err := r.Blob(t.Context(), "app", describe([]byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		second.Close()
		if s := b.Status(); s[0].Active != 0 {
			t.Errorf("%d places lost", s[0].Active)
		}
	})
}

// stalling answers headers and then nothing.
type stalling struct{ headers bool }

type silence struct{ ctx context.Context }

func (s silence) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s silence) Close() error             { return nil }

func (s stalling) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.headers {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: silence{r.Context()}, ContentLength: -1, Request: r}, nil
}

func TestSilenceEnds(t *testing.T) {
	for _, headers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := oci.New(oci.Options{Transport: stalling{headers}, Timeout: 10 * time.Second})
			start := time.Now()
			b, err := open(t, c, oci.Endpoint{URL: home}).Blob(t.Context(), "app", describe([]byte("x")))
			if err == nil {
				_, err = io.ReadAll(b)
				b.Close()
			}
			wantKind(t, err, tidewaiter.ErrTransient, "went silent")
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %s", d)
			}
		})
	}
}

func TestCancelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := oci.New(oci.Options{Transport: stalling{}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, _, err := open(t, c, oci.Endpoint{URL: home}).Tags(ctx, "app", "")
		wantKind(t, err, tidewaiter.ErrCanceled)
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_, _, err = open(t, c, oci.Endpoint{URL: home}).Tags(ctx, "app", "")
		wantKind(t, err, tidewaiter.ErrTransient)
	})
}

func TestTraceShowsNoSecretsAndIsBounded(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{
		"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, p, _ := r.BasicAuth(); p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(w, r, "https://storage.example.net/blob?X-Amz-Signature=s1gnature&n=5", http.StatusTemporaryRedirect)
		}),
		"storage.example.net": text(200, "x"),
	}}
	trace := oci.NewTrace(3)
	r := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password), Trace: trace})
	for range 3 {
		if _, err := readBlob(t, r, describe([]byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	e := trace.Entries()
	if len(e) != 3 || trace.Dropped() != 4 {
		t.Fatalf("%d kept, %d dropped", len(e), trace.Dropped())
	}
	last := e[2]
	if last.URL != "https://storage.example.net/blob?X-Amz-Signature=***&n=5" || last.Bytes != 1 || last.Status != 200 || last.Method != http.MethodGet {
		t.Errorf("%+v", last)
	}
	if all := fmt.Sprintf("%+v", e); strings.Contains(all, "s1gnature") || strings.Contains(all, password) {
		t.Errorf("secrets in %s", all)
	}
	delete(n.hosts, "storage.example.net")
	_, err := readBlob(t, r, describe([]byte("x")))
	wantKind(t, err, tidewaiter.ErrTransient)
	if strings.Contains(err.Error(), "s1gnature") {
		t.Errorf("the signature is in %v", err)
	}
}
