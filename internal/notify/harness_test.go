package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// patience bounds every wait. Nothing here takes as long unless it hangs.
const patience = time.Minute

var start = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) { f(t, open(t, filepath.Join(t.TempDir(), "test.db"))) })
	t.Run("postgres", func(t *testing.T) { f(t, open(t, testkit.Postgres(t))) })
}

// clock is set by the tests; nothing here looks at another.
type clock struct{ micros atomic.Int64 }

func (c *clock) now() time.Time           { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(by time.Duration) { c.micros.Add(by.Microseconds()) }

// house is a control and a notifier over a database with one registry.
type house struct {
	*control.Control
	t        *testing.T
	clock    *clock
	store    *store.DB
	notifier *notify.Notifier
	config   notify.Config
	log      *syncLog
	scans    int
	webhooks int
}

type noJobs struct{}

func (noJobs) Enqueue(context.Context, *store.Tx, ...tidewaiter.Job) error { return nil }
func (noJobs) CancelRegistry(context.Context, string) error                { return nil }

// syncLog keeps what was logged.
type syncLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *syncLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func open(t *testing.T, url string) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{}, log: &syncLog{}}
	h.clock.micros.Store(start.UnixMicro())
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if h.store, err = store.Open(t.Context(), store.Config{URL: url, Now: h.clock.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	keyring, err := secret.Open(filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	newID := func() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n.Add(1)) }
	h.config = notify.Config{
		Store: h.store, Keyring: keyring, Outbound: oci.NewOutbound(oci.OutboundOptions{AllowLoopback: true}), UserAgent: "tidewaiter/test",
		Now: h.clock.now, NewID: newID, Jitter: func() float64 { return 0 }, Log: log, Metrics: prometheus.NewRegistry(), Poll: 2 * time.Millisecond,
	}
	h.notifier = notify.New(h.config)
	h.Control = control.New(control.Config{Store: h.store, Jobs: noJobs{}, Keyring: keyring, Webhooks: h.notifier, Now: h.clock.now, NewID: newID, Log: log})
	h.update(func(tx *store.Tx) error {
		return tx.InsertRegistries(t.Context(), []*tidewaiter.Registry{registry("reg", "https://registry.example.com"), registry("other", "https://other.example.com")})
	})
	return h
}

func registry(id, url string) *tidewaiter.Registry {
	return &tidewaiter.Registry{ID: id, Name: "name of " + id, Kind: tidewaiter.KindOCI, URL: url, Origin: tidewaiter.OriginNative, CreatedAt: start, UpdatedAt: start}
}

func (h *house) update(f func(*store.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(context.Background(), f); err != nil {
		h.t.Fatal(err)
	}
}

// another is a notifier of another process over the same database.
func (h *house) another() *notify.Notifier {
	c := h.config
	c.Metrics = prometheus.NewRegistry()
	return notify.New(c)
}

// run has the notifiers at work until the test ends or stop is called.
func (h *house) run(notifiers ...*notify.Notifier) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, n := range notifiers {
		group.Go(func() { n.Run(ctx) })
	}
	stop = func() { cancel(); group.Wait() }
	h.t.Cleanup(stop)
	return stop
}

// ended ends a whole scan of a registry, or one of a target, as a listing and a pipeline do.
func (h *house) ended(registryID string, failure string, target ...string) {
	h.t.Helper()
	h.scans++
	s := &tidewaiter.Scan{ID: fmt.Sprintf("scan-%d", h.scans), RegistryID: registryID, State: tidewaiter.ScanScanning, Lane: tidewaiter.LaneFresh,
		Error: failure, ImagesTotal: 3, ImagesDone: 3, Repositories: 1, RepositoriesListed: 1, CreatedAt: h.clock.now(), StartedAt: h.clock.now(),
		UpdatedAt: h.clock.now()}
	if len(target) > 0 {
		s.Target = &tidewaiter.Target{Repository: target[0], Tag: "v1"}
	}
	h.update(func(tx *store.Tx) error {
		if err := tx.InsertScans(h.t.Context(), []*tidewaiter.Scan{s}); err != nil {
			return err
		}
		done, err := tx.FinishScanIfDone(h.t.Context(), s.ID, h.clock.now())
		if err == nil && !done {
			h.t.Error("the scan did not end")
		}
		return err
	})
}

// add stores a webhook to a URL that asks for everything, and returns its signing secret too.
func (h *house) add(url string, change ...func(*control.WebhookDraft)) (*tidewaiter.Webhook, string) {
	h.t.Helper()
	h.webhooks++
	draft := control.WebhookDraft{Name: fmt.Sprintf("webhook %d", h.webhooks), Format: tidewaiter.FormatJSON, Topics: tidewaiter.Topics(), URL: secret.New(url)}
	for _, f := range change {
		f(&draft)
	}
	w, s, err := h.AddWebhook(h.t.Context(), draft, secret.Value{})
	if err != nil {
		h.t.Fatal(err)
	}
	return w, s.Reveal()
}

// list returns the deliveries of a webhook, oldest first.
func (h *house) list(w *tidewaiter.Webhook, states ...control.DeliveryState) []*control.WebhookDelivery {
	h.t.Helper()
	list, _, err := h.WebhookDeliveries(context.Background(), control.DeliveryFilter{WebhookID: w.ID, States: states, Page: control.Page{Limit: 20_000}})
	if err != nil {
		h.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (h *house) eventually(what string, f func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !f(); {
		if time.Now().After(deadline) {
			h.t.Fatalf("not so after %s: %s\n%s", patience, what, h.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// request is what a receiver got.
type request struct {
	header http.Header
	body   []byte
	path   string
}

func (r request) id() string { return r.header.Get(notify.HeaderDelivery) }

func (r request) message(t *testing.T) *tidewaiter.WebhookMessage {
	t.Helper()
	m := &tidewaiter.WebhookMessage{}
	if err := json.Unmarshal(r.body, m); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return m
}

// receiver is a server that keeps what it gets and answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []request
	answer func(http.ResponseWriter, *http.Request, int) // n is how many requests came before; nil is 204
}

func receive(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		n := len(r.got)
		r.got = append(r.got, request{req.Header.Clone(), body, req.URL.RequestURI()})
		answer := r.answer
		r.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, req, n)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) setAnswer(answer func(http.ResponseWriter, *http.Request, int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// verify checks a signature as docs/webhooks.md tells receivers to.
func verify(header string, body []byte, secret string, now time.Time) bool {
	var t string
	var signatures []string
	for part := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "t":
			t = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	var seconds int64
	if _, err := fmt.Sscanf(t, "%d", &seconds); err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return slices.ContainsFunc(signatures, func(s string) bool {
		given, err := hex.DecodeString(s)
		return err == nil && hmac.Equal(given, mac.Sum(nil))
	})
}
