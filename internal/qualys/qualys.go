// Package qualys serves the registry-scanning part of the Qualys Container Security API, so that what was written for
// that product goes on working. It translates words and shapes; what happens is decided in package control. README.md
// holds the contract.
package qualys

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config is what the API works with. Every field without a default is required.
type Config struct {
	Control *control.Control
	Auth    *auth.Service
	Log     *slog.Logger
	Now     func() time.Time
	NewID   func() string // UUIDs of deletion jobs; nil makes random ones

	// AWSAccount is the AWS account the installation runs in: what a role's trust policy names. "" when there is none.
	AWSAccount string
	// Replaced reports whether another API stands in for that of a kind, so that its registries may be at any address. Nil
	// is never.
	Replaced func(tidewaiter.RegistryKind) bool
	// RateLimits turns on the vendor's limits per minute (see limit.go). Off by default: a self-hosted server has no
	// other subscribers to protect.
	RateLimits bool
}

// New returns a handler for every path below /csapi/ and for /auth. Qualys: v1.1 is spoken on the API server with Basic,
// v1.2 and v1.3 on the gateway with Bearer; here all paths take both.
func New(c Config) http.Handler {
	s := &server{control: c.Control, auth: c.Auth, log: c.Log, now: c.Now, newID: c.NewID, awsAccount: c.AWSAccount, replaced: c.Replaced}
	if s.replaced == nil {
		s.replaced = func(tidewaiter.RegistryKind) bool { return false }
	}
	if s.newID == nil {
		s.newID = uuid.NewString
	}
	if c.RateLimits {
		s.limits = newLimits(c.Now)
	}
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.method+" /csapi/{version}"+r.path, s.handle(r))
	}
	for version := range versions {
		mux.HandleFunc("GET /csapi/"+version+"/openapi.json", getSpecification)
	}
	mux.HandleFunc("POST /auth", s.open(s.authenticate))
	mux.HandleFunc("POST /auth/oidc", s.open(s.authenticateClient))
	mux.HandleFunc("/", s.unknown(mux))
	return withoutTrailingSlash(mux)
}

// server holds what the handlers share.
type server struct {
	control    *control.Control
	auth       *auth.Service
	log        *slog.Logger
	now        func() time.Time
	newID      func() string
	awsAccount string
	replaced   func(tidewaiter.RegistryKind) bool
	limits     *limits // nil when there are none
}

// route is one line of the table: what it takes, and who answers.
type route struct {
	method, path string
	may          tidewaiter.Permission
	answer       func(http.ResponseWriter, *http.Request) error
}

// routes is the whole API on one screen.
func (s *server) routes() []route {
	return []route{
		{"GET", "/registry", tidewaiter.MayReadRegistries, s.getRegistries},
		{"POST", "/registry", tidewaiter.MayWriteRegistries, s.postRegistry},
		{"DELETE", "/registry", tidewaiter.MayWriteRegistries, s.deleteRegistries},
		{"POST", "/registry/validate", tidewaiter.MayWriteRegistries, s.validateRegistry},
		{"GET", "/registry/{registryId}", tidewaiter.MayReadRegistries, s.getRegistry},
		{"PUT", "/registry/{registryId}", tidewaiter.MayWriteRegistries, s.putRegistry},
		{"DELETE", "/registry/{registryId}", tidewaiter.MayWriteRegistries, s.deleteRegistry},
		{"GET", "/registry/{registryId}/repository", tidewaiter.MayReadRegistries, s.getRepositories},

		{"GET", "/registry/{registryId}/schedule", tidewaiter.MayReadRegistries, s.getSchedules},
		{"POST", "/registry/{registryId}/schedule", tidewaiter.MayScan, s.postSchedule},
		{"DELETE", "/registry/{registryId}/schedule", tidewaiter.MayScan, s.deleteSchedules},
		{"DELETE", "/registry/{registryId}/schedule/bulk", tidewaiter.MayScan, s.deleteSchedules},
		{"POST", "/registry/{registryId}/schedule/cancel", tidewaiter.MayScan, s.cancelSchedules},
		{"PUT", "/registry/{registryId}/schedule/{scheduleId}", tidewaiter.MayScan, s.putSchedule},
		{"DELETE", "/registry/{registryId}/schedule/{scheduleId}", tidewaiter.MayScan, s.deleteSchedule},
		{"POST", "/registry/{registryId}/schedule/{scheduleId}/cancel", tidewaiter.MayScan, s.cancelSchedule},

		{"GET", "/registry/aws-base", tidewaiter.MayReadCredentials, s.getAWSBase},
		{"POST", "/registry/aws/connector", tidewaiter.MayWriteCredentials, s.postAWSConnector},
		{"GET", "/registry/aws/connectors", tidewaiter.MayReadCredentials, s.getAWSConnectors},
		{"GET", "/registry/aws/connectors/{accountId}", tidewaiter.MayReadCredentials, s.getAWSConnectors},
		{"POST", "/registry/acr/connector", tidewaiter.MayWriteCredentials, s.postACRConnector},
		{"GET", "/registry/acr/connectors", tidewaiter.MayReadCredentials, s.getACRConnectors},
		{"GET", "/registry/acr/connector/{connectorId}", tidewaiter.MayReadCredentials, s.getACRConnector},
		{"POST", "/registry/gcp/connector", tidewaiter.MayWriteCredentials, s.postGCPConnector},
		{"GET", "/registry/gcp/connectors", tidewaiter.MayReadCredentials, s.getGCPConnectors},
		{"GET", "/registry/gcp/connector/{connectorId}", tidewaiter.MayReadCredentials, s.getGCPConnector},
		{"POST", "/registry/gcr/connector", tidewaiter.MayWriteCredentials, s.postGCPConnector}, // one document's spelling
		{"GET", "/registry/gcr/connectors", tidewaiter.MayReadCredentials, s.getGCPConnectors},
		{"GET", "/registry/gcr/connector/{connectorId}", tidewaiter.MayReadCredentials, s.getGCPConnector},

		{"GET", "/images", tidewaiter.MayReadImages, s.getImages},
		{"DELETE", "/images", tidewaiter.MayWriteImages, s.deleteImages},
		{"GET", "/images/list", tidewaiter.MayReadImages, s.getImageList},
		{"GET", "/images/{imageSha}", tidewaiter.MayReadImages, s.getImage},
		{"GET", "/images/{imageSha}/vuln", tidewaiter.MayReadImages, s.getVulnerabilities},
		{"GET", "/images/{imageSha}/vuln/count", tidewaiter.MayReadImages, s.getVulnerabilityCount},
		{"GET", "/images/{imageSha}/software", tidewaiter.MayReadImages, s.getSoftware},
		{"GET", "/images/{imageSha}/association", tidewaiter.MayReadImages, s.getAssociation},
		{"GET", "/images/{imageSha}/associatedRegistries", tidewaiter.MayReadImages, s.getAssociatedRegistries},
		{"GET", "/images/{imageSha}/compliance", tidewaiter.MayReadImages, s.getCompliance},
		{"GET", "/images/{imageSha}/exceptions", tidewaiter.MayReadImages, s.getExceptions},
	}
}

// versions are what may stand for the version; all mean the same but for what a request must hold.
var versions = map[string]bool{"v1.1": true, "v1.2": true, "v1.3": true}

// handle lets in who may, and writes the error when there is one.
func (s *server) handle(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !versions[r.PathValue("version")] {
			s.fail(w, r, notPartOf(r.URL.Path))
			return
		}
		r, err := s.admit(r, rt.may)
		if err == nil {
			err = s.limits.admit(w, r.URL.Path)
		}
		if err == nil {
			err = rt.answer(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// open serves who has not logged in yet.
func (s *server) open(answer func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := answer(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// admit finds out who is asking, and whether that user may.
func (s *server) admit(r *http.Request, may tidewaiter.Permission) (*http.Request, error) {
	user, err := s.auth.Authenticate(r)
	if err != nil {
		return r, err
	}
	if err := auth.Require(user, may); err != nil {
		return r, forbidden(user.Name, may)
	}
	return r.WithContext(control.WithActor(r.Context(), user.Name)), nil
}

// isV11 reports whether the request speaks the oldest version, whose bodies have fewer fields.
func isV11(r *http.Request) bool { return r.PathValue("version") == "v1.1" }

// unknown answers whatever the table does not have: 405 for another method of a path it has, 404 otherwise.
func (s *server) unknown(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			probe := *r
			probe.Method = method
			if _, pattern := mux.Handler(&probe); pattern != "/" && pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			s.fail(w, r, notPartOf(r.URL.Path))
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.writeError(w, http.StatusMethodNotAllowed, "method "+cut(r.Method, 20)+" is not allowed here, use "+strings.Join(allowed, " or "))
	}
}

// withoutTrailingSlash lets every path end in a slash. Qualys: some documented paths of v1.1 do, and clients copy them.
func withoutTrailingSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) > 1 && strings.HasSuffix(r.URL.Path, "/") {
			u := *r.URL
			u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
			if u.Path == "" {
				u.Path, u.RawPath = "/", ""
			}
			r = r.Clone(r.Context())
			r.URL = &u
		}
		next.ServeHTTP(w, r)
	})
}
