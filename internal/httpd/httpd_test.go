package httpd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/httpd"
)

func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

func TestMounts(t *testing.T) {
	var dbErr error
	h := httpd.Handler(httpd.Config{
		Prisma: named("prisma"), Qualys: named("qualys"), Metrics: named("metrics"),
		Ready: func(context.Context) error { return dbErr }, Log: slog.New(slog.DiscardHandler),
	})
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff header", path)
		}
		return w.Code, w.Body.String()
	}
	for path, want := range map[string]string{
		"/api/v1/registry": "prisma", "/api/v32.07/settings/registry": "prisma", "/csapi/v1.3/registry": "qualys", "/auth": "qualys",
		"/auth/oidc": "qualys", "/metrics": "metrics", "/healthz": "ok", "/readyz": "ready", "/": "Tidewaiter",
	} {
		if code, body := get(path); code != http.StatusOK || !strings.HasPrefix(body, want) {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	if code, _ := get("/elsewhere"); code != http.StatusNotFound {
		t.Errorf("an unknown path: %d", code)
	}
	dbErr = errors.New("gone")
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || strings.Contains(body, "gone") {
		t.Errorf("without a database: %d %q", code, body)
	}
}

func TestPanicIsA500AndLoggedWithoutQuery(t *testing.T) {
	var log bytes.Buffer
	h := httpd.Handler(httpd.Config{
		Prisma: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
		Ready:  func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/x?token=hush", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "boom") || strings.Contains(log.String(), "hush") {
		t.Errorf("%d, log %s", w.Code, &log)
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	l, err := httpd.Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	entered := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-ctx.Done()
		io.WriteString(w, "finished")
	})
	served := make(chan error, 1)
	go func() { served <- httpd.Serve(ctx, l, h, slog.New(slog.DiscardHandler), 10*time.Second) }()
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- string(b)
	}()
	<-entered
	stop()
	if got := <-answer; got != "finished" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
