// Package harbor is a scanner that Harbor can be given: the server side of Harbor's pluggable scanner API. It translates
// words and shapes; what happens is decided in package control. README.md holds the contract.
package harbor

import (
	"crypto/subtle"
	"log/slog"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Prefix is where the API is mounted. Prisma: the scanner's address is this and the suffix from the registry settings;
// Harbor appends /api/v1/… to it.
const Prefix = "/api/v1/harbor/"

// Config is what the API works with. Every field is required.
type Config struct {
	Control *control.Control
	Log     *slog.Logger
	Now     func() time.Time
	Version string // of tidewaiter
}

// New returns a handler for every path below Prefix. Who knows the secret suffix may ask; anything else is 404.
func New(c Config) http.Handler {
	s := &server{control: c.Control, log: c.Log, now: c.Now, version: c.Version}
	if s.version == "" {
		s.version = "unreleased"
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+Prefix+"{suffix}/api/v1/metadata", s.handle(s.metadata))
	mux.Handle("POST "+Prefix+"{suffix}/api/v1/scan", s.handle(s.scan))
	mux.Handle("GET "+Prefix+"{suffix}/api/v1/scan/{id}/report", s.handle(s.report))
	mux.Handle("/", s.handle(func(http.ResponseWriter, *http.Request) error { return errNoSuchPath }))
	return mux
}

// server holds what the handlers share.
type server struct {
	control *control.Control
	log     *slog.Logger
	now     func() time.Time
	version string
}

var errNoSuchPath = tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no such path here")

// handle lets in who knows the suffix and shows the key, should one be set, and writes the error when there is one. Answers are never cached: a report that is
// not ready would stay so.
func (s *server) handle(answer func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		suffix, err := s.control.Suffix(r.Context(), control.SettingHarborSuffix)
		if err == nil && subtle.ConstantTimeCompare([]byte(suffix), []byte(r.PathValue("suffix"))) != 1 {
			err = errNoSuchPath
		}
		if err == nil {
			err = s.admit(w, r)
		}
		if err == nil {
			out, done := packed(w, r)
			defer done()
			w = out
			err = answer(w, r.WithContext(control.WithActor(r.Context(), "harbor")))
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}
