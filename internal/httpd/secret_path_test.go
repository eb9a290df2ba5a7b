package httpd_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/httpd"
)

func TestSecretAddressIsNotLogged(t *testing.T) {
	for _, path := range []string{"/api/v1/registry/webhook/hush", "/tidewaiter/v1/events/some-registry/hush", "/tidewaiter/v1/events/some-registry/hush/more",
		"/tidewaiter/v1/events//hush"} {
		t.Run(path, func(t *testing.T) { secretIsNotLogged(t, path) })
	}
}

func secretIsNotLogged(t *testing.T, path string) {
	for _, panics := range []bool{false, true} {
		var log bytes.Buffer
		receiver := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if panics {
				panic("boom")
			}
		})
		h := httpd.Handler(httpd.Config{
			Prisma: receiver, Inbox: receiver,
			Ready: func(context.Context) error { return nil },
			Log:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
		if !strings.Contains(log.String(), "POST") || strings.Contains(log.String(), "hush") {
			t.Errorf("log: %s", &log)
		}
	}
}
