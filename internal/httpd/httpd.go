// Package httpd is the one port everything is served on: which surface answers which path, and what holds for all of them.
package httpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/admission"
	"github.com/tidewaiter/tidewaiter/internal/api"
	"github.com/tidewaiter/tidewaiter/internal/harbor"
	"github.com/tidewaiter/tidewaiter/internal/inbox"
)

// Config says what to serve. Surfaces may be nil; their paths are 404 then.
type Config struct {
	API       http.Handler
	Prisma    http.Handler
	Qualys    http.Handler
	Harbor    http.Handler
	Inbox     http.Handler
	Admission http.Handler
	Metrics   http.Handler
	Ready     func(ctx context.Context) error // nil when requests can be served
	Log       *slog.Logger
}

// Handler mounts every surface.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mount := func(pattern string, h http.Handler) {
		if h != nil {
			mux.Handle(pattern, h)
		}
	}
	mount(api.Prefix+"/", c.API)           // /tidewaiter/v1/…: our own
	mount("/api/", c.Prisma)               // /api/v1/…, /api/v32.07/…
	mount(harbor.Prefix, c.Harbor)         // /api/v1/harbor/…: what Harbor asks a scanner
	mount(inbox.Pattern, c.Inbox)          // /tidewaiter/v1/events/…/…: what registries send
	mount(admission.Path, c.Admission)     // what a Kubernetes cluster asks
	mount(admission.Path+"/", c.Admission) // the same at a secret address
	mount("/csapi/", c.Qualys)             // /csapi/v1.1/…, /csapi/v1.3/…
	mount("/auth", c.Qualys)               // POST: a token for the gateway style
	mount("/auth/", c.Qualys)              // /auth/oidc
	mount("/metrics", c.Metrics)
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", ready(c.Ready))
	mux.HandleFunc("GET /{$}", front)
	return logged(c.Log, recovered(c.Log, hardened(mux)))
}

// Serve answers on a listener until ctx ends, then lets requests under way finish for as long as grace.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, grace time.Duration) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,  // 64 MiB over a slow line
		WriteTimeout:      10 * time.Minute, // exports of 100,000 images
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return server.Close()
	}
	return nil
}

// Listen opens the port, with TLS when there is a certificate.
func Listen(address string, certificate *tls.Certificate) (net.Listener, error) {
	l, err := net.Listen("tcp", address) //nolint:noctx // a port is opened at once, or not at all
	if err != nil || certificate == nil {
		return l, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"}}), nil
}
