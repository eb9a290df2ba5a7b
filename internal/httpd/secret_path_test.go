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
	for _, panics := range []bool{false, true} {
		var log bytes.Buffer
		h := httpd.Handler(httpd.Config{
			Prisma: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if panics {
					panic("boom")
				}
			}),
			Ready: func(context.Context) error { return nil },
			Log:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api/v1/registry/webhook/hush", nil))
		if !strings.Contains(log.String(), "/registry/webhook/") || strings.Contains(log.String(), "hush") {
			t.Errorf("log: %s", &log)
		}
	}
}
