// Package api is our own REST API, below /tidewaiter/v1: one noun a file. It translates words and shapes; what happens is
// decided in package control. The shapes on the wire are those of the public package client, so that there is one
// definition of each. The API describes itself at /tidewaiter/v1/openapi.json; errors are problem+json (RFC 9457).
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Prefix is where the API lives.
const Prefix = "/tidewaiter/v1"

// Config is what the API works with. Every field is required.
type Config struct {
	Control *control.Control
	Auth    *auth.Service
	Log     *slog.Logger
	Now     func() time.Time
	Version string // of this program
}

// server holds what the handlers share.
type server struct {
	Config
	api huma.API
}

// New returns a handler for every path below Prefix.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	s := &server{Config: c, api: humago.New(mux, settings(c.Version))}
	s.status()
	s.images()
	s.changes()
	s.names()
	s.publications()
	s.workers()
	s.lanes()
	s.events()
	s.eventAddresses()
	s.registries()
	s.previews()
	s.credentials()
	s.harborScanner()
	s.verdict()
	s.rejudging()
	s.admission()
	s.webhooks()
	s.scanners()
	s.opinions()
	s.vulnerabilities()
	mux.HandleFunc("/", s.unknown(mux))
	return mux
}

// settings leaves out what fetches scripts from elsewhere, and schema links in every answer.
func settings(version string) huma.Config {
	c := huma.DefaultConfig("Tidewaiter", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = Prefix+"/openapi", "", ""
	c.CreateHooks, c.Transformers = nil, []huma.Transformer{uniform}
	c.Info.Description = "Watches container registries: what was found, how it is judged, and why."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"basic":  {Type: "http", Scheme: "basic"},
		"bearer": {Type: "http", Scheme: "bearer"},
	}
	return c
}

// anyone stands for a permission where no login is needed.
const anyone tidewaiter.Permission = ""

// operation describes one line of the API.
type operation struct {
	noun    string // groups operations in the document
	id      string // unique; what generated clients call it
	method  string
	path    string // below Prefix
	summary string
	about   string // more than the summary, where there is more to say
	may     tidewaiter.Permission
	status  int   // of success; 0 is 200, or 204 where nothing is returned
	maxBody int64 // bytes; 0 is 1 MiB
}

// handle puts an operation on the API: who may not is kept out, an error becomes a problem document.
func handle[I, O any](s *server, op operation, answer func(context.Context, *I) (*O, error)) {
	o := huma.Operation{
		OperationID: op.id, Method: op.method, Path: Prefix + op.path, Tags: []string{op.noun}, Summary: op.summary,
		Description: op.about, DefaultStatus: op.status, MaxBodyBytes: op.maxBody,
	}
	if op.may != anyone {
		o.Security = []map[string][]string{{"basic": {}}, {"bearer": {}}}
		o.Middlewares = huma.Middlewares{s.admit(op.may)}
	}
	known := &parameters{}
	o.Middlewares = append(o.Middlewares, s.refuseUnknown(known))
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := answer(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
	known.read(s.api.OpenAPI(), &o)
}

// admit finds out who is asking, and whether that user may.
func (s *server) admit(may tidewaiter.Permission) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		user, err := s.Auth.Authenticate(r)
		if err == nil {
			err = auth.Require(user, may)
		}
		if err != nil {
			writeProblem(w, s.problem(r.Context(), err))
			return
		}
		next(huma.WithContext(ctx, context.WithValue(control.WithActor(ctx.Context(), user.Name), userKey{}, user)))
	}
}

type userKey struct{}

// require fails with ErrForbidden unless whoever asks has one more permission, for what only some uses of an operation need.
func require(ctx context.Context, may tidewaiter.Permission) error {
	user, _ := ctx.Value(userKey{}).(tidewaiter.User)
	return auth.Require(user, may)
}

// Paging is what lists are asked with. It is exported because huma reads the fields of exported embedded structs only.
type Paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"How many at most."`
	After string `query:"after" maxLength:"4096" doc:"The cursor the previous page came with."`
}

func (p Paging) page() control.Page { return control.Page{Limit: p.Limit, After: p.After} }

// body is what an operation answers with.
type body[T any] struct{ Body T }

func reply[T any](v T) *body[T] { return &body[T]{v} }
