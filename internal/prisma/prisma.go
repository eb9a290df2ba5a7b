// Package prisma serves the registry-scanning part of the Prisma Cloud Compute API, so that what was written for that
// product goes on working. It translates words and shapes; what happens is decided in package control. README.md holds
// the contract.
package prisma

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config is what the API works with. Every field is required.
type Config struct {
	Control *control.Control
	Auth    *auth.Service
	Log     *slog.Logger
	Now     func() time.Time
	Version string // of this program, for the documents it makes
}

// ConsoleVersion is the version of the vendor's console this API answers as. Clients read its first two numbers.
const ConsoleVersion = "32.07.100"

// New returns a handler for every path below /api/. Prisma: /api/v1 is the newest version, /api/vNN.NN a certain one;
// here all are the same.
func New(c Config) http.Handler {
	s := &server{control: c.Control, auth: c.Auth, log: c.Log, now: c.Now, version: ConsoleVersion, program: c.Version, told: map[string]time.Time{}}
	s.vulnStats.now, s.compStats.now = c.Now, c.Now
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.method+" /api/{version}"+r.path, s.handle(r))
	}
	mux.HandleFunc("/", s.unknown(mux))
	return noStore(mux)
}

// server holds what the handlers share.
type server struct {
	control *control.Control
	auth    *auth.Service
	log     *slog.Logger
	now     func() time.Time
	version string // of the console
	program string // of this program

	seeded atomic.Bool // the built-in credential is known to be stored

	vulnStats kept[*fleetStats]
	compStats kept[*complianceStats]

	mu   sync.Mutex
	told map[string]time.Time // finished on-demand scans whose end was reported, and when
}

// route is one line of the table: what it takes to get in, and who answers.
type route struct {
	method, path string
	may          tidewaiter.Permission
	answer       func(http.ResponseWriter, *http.Request) error
}

const (
	anyone  tidewaiter.Permission = "anyone"   // no login
	anyUser tidewaiter.Permission = "any user" // a login, whatever the role
)

// routes is the whole API on one screen.
func (s *server) routes() []route {
	return []route{
		{"GET", "/_ping", anyone, s.ping},
		{"POST", "/authenticate", anyone, s.authenticate},
		{"GET", "/authenticate/renew", anyUser, s.renew},
		{"GET", "/version", anyUser, s.getVersion},
		{"GET", "/openapi.json", anyUser, s.getOpenAPI},

		{"GET", "/settings/registry", tidewaiter.MayReadRegistries, s.getRegistrySettings},
		{"PUT", "/settings/registry", tidewaiter.MayWriteRegistries, s.putRegistrySettings},
		{"POST", "/settings/registry", tidewaiter.MayWriteRegistries, s.postRegistrySettings},
		{"GET", "/settings/scan", tidewaiter.MayReadSettings, s.getScanSettings},
		{"POST", "/settings/scan", tidewaiter.MayWriteSettings, s.postScanSettings},

		{"GET", "/credentials", tidewaiter.MayReadCredentials, s.getCredentials},
		{"POST", "/credentials", tidewaiter.MayWriteCredentials, s.postCredential},
		{"DELETE", "/credentials/{id}", tidewaiter.MayWriteCredentials, s.deleteCredential},
		{"GET", "/credentials/{id}/usages", tidewaiter.MayReadCredentials, s.getCredentialUsages},

		{"GET", "/registry", tidewaiter.MayReadImages, s.getResults},
		{"GET", "/registry/names", tidewaiter.MayReadImages, s.getResultNames},
		{"GET", "/registry/download", tidewaiter.MayReadImages, s.downloadResults},
		{"GET", "/registry/progress", tidewaiter.MayReadImages, s.getProgress},
		{"GET", "/sbom/download/registry", tidewaiter.MayReadImages, s.downloadSBOM},
		{"POST", "/registry/scan", tidewaiter.MayScan, s.postScan},
		{"POST", "/registry/scan/select", tidewaiter.MayScan, s.postScanSelect},
		{"POST", "/registry/stop", tidewaiter.MayScan, s.postStop},
		{"POST", "/registry/stop/{id}", tidewaiter.MayScan, s.postStopOne},
		{"GET", "/statuses/registry", tidewaiter.MayReadImages, s.getStatus},
		{"GET", "/statuses/intelligence", anyUser, s.getIntelligence},

		{"POST", "/registry/webhook/{suffix}", anyone, s.receiveEvent},
		{"DELETE", "/registry/webhook/{suffix}", anyone, s.receiveEvent},
		{"OPTIONS", "/registry/webhook/{suffix}", anyone, s.allowEvents},

		{"GET", "/static/vulnerabilities", anyUser, s.getStaticVulnerabilities},

		{"GET", "/stats/vulnerabilities", tidewaiter.MayReadImages, s.getVulnerabilityStats},
		{"GET", "/stats/vulnerabilities/download", tidewaiter.MayReadImages, s.downloadVulnerabilityStats},
		{"POST", "/stats/vulnerabilities/refresh", tidewaiter.MayReadImages, s.refreshVulnerabilityStats},
		{"GET", "/stats/vulnerabilities/impacted-resources", tidewaiter.MayReadImages, s.getImpactedResources},
		{"GET", "/stats/vulnerabilities/impacted-resources/download", tidewaiter.MayReadImages, s.downloadImpactedResources},
		{"GET", "/stats/compliance", tidewaiter.MayReadImages, s.getComplianceStats},
		{"GET", "/stats/compliance/download", tidewaiter.MayReadImages, s.downloadComplianceStats},
		{"POST", "/stats/compliance/refresh", tidewaiter.MayReadImages, s.refreshComplianceStats},

		{"GET", "/policies/vulnerability/images", tidewaiter.MayReadPolicies, s.getPolicy(vulnerabilityPolicy)},
		{"PUT", "/policies/vulnerability/images", tidewaiter.MayWritePolicies, s.putPolicy(vulnerabilityPolicy)},
		{"GET", "/policies/compliance/container", tidewaiter.MayReadPolicies, s.getPolicy(compliancePolicy)},
		{"PUT", "/policies/compliance/container", tidewaiter.MayWritePolicies, s.putPolicy(compliancePolicy)},
		{"GET", "/policies/compliance/images", tidewaiter.MayReadPolicies, s.getPolicy(compliancePolicy)},
		{"PUT", "/policies/compliance/images", tidewaiter.MayWritePolicies, s.putPolicy(compliancePolicy)},
		{"GET", "/policies/vulnerability/ci/images", tidewaiter.MayReadPolicies, s.getPolicy(ciVulnerabilityPolicy)},
		{"PUT", "/policies/vulnerability/ci/images", tidewaiter.MayWritePolicies, s.putPolicy(ciVulnerabilityPolicy)},
		{"GET", "/policies/compliance/ci/images", tidewaiter.MayReadPolicies, s.getPolicy(ciCompliancePolicy)},
		{"PUT", "/policies/compliance/ci/images", tidewaiter.MayWritePolicies, s.putPolicy(ciCompliancePolicy)},
		{"GET", "/policies/vulnerability/images/impacted", tidewaiter.MayReadImages, s.getImpacted(vulnerabilityPolicy)},
		{"GET", "/policies/compliance/container/impacted", tidewaiter.MayReadImages, s.getImpacted(compliancePolicy)},
		{"GET", "/policies/compliance/images/impacted", tidewaiter.MayReadImages, s.getImpacted(compliancePolicy)},
		{"GET", "/policies/vulnerability/base-images", tidewaiter.MayReadPolicies, s.getBaseImages},
		{"POST", "/policies/vulnerability/base-images", tidewaiter.MayWritePolicies, s.postBaseImages},
		{"GET", "/policies/vulnerability/base-images/download", tidewaiter.MayReadPolicies, s.downloadBaseImages},
		{"DELETE", "/policies/vulnerability/base-images/{id...}", tidewaiter.MayWritePolicies, s.deleteBaseImages},

		{"GET", "/tags", tidewaiter.MayReadPolicies, s.getTags},
		{"POST", "/tags", tidewaiter.MayWritePolicies, s.postTag},
		{"PUT", "/tags/{id}", tidewaiter.MayWritePolicies, s.putTag},
		{"DELETE", "/tags/{id}", tidewaiter.MayWritePolicies, s.deleteTag},
		{"POST", "/tags/{id}/vuln", tidewaiter.MayWritePolicies, s.postTagVuln},
		{"DELETE", "/tags/{id}/vuln", tidewaiter.MayWritePolicies, s.deleteTagVuln},

		{"GET", "/collections", tidewaiter.MayReadPolicies, s.getCollections},
		{"POST", "/collections", tidewaiter.MayWritePolicies, s.postCollection},
		{"PUT", "/collections/{id}", tidewaiter.MayWritePolicies, s.putCollection},
		{"DELETE", "/collections/{id}", tidewaiter.MayWritePolicies, s.deleteCollection},
		{"GET", "/collections/{id}/usages", tidewaiter.MayReadPolicies, s.getCollectionUsages},
		{"GET", "/current/collections", anyUser, s.getCurrentCollections},
		{"GET", "/current/projects", anyUser, s.getCurrentProjects},

		{"GET", "/users", tidewaiter.MayManageUsers, s.getUsers},
		{"POST", "/users", tidewaiter.MayManageUsers, s.postUser},
		{"PUT", "/users", tidewaiter.MayManageUsers, s.putUser},
		{"PUT", "/users/password", anyUser, s.putPassword},
		{"DELETE", "/users/{id}", tidewaiter.MayManageUsers, s.deleteUser},
		{"GET", "/groups", tidewaiter.MayManageUsers, s.getNothing},
		{"GET", "/groups/names", tidewaiter.MayManageUsers, s.getNothing},
		{"GET", "/rbac/roles", tidewaiter.MayManageUsers, s.getRoles},
	}
}

// versionSegment is what may stand for the version: v1, v32.07, v34.04.142.
var versionSegment = regexp.MustCompile(`^v\d{1,4}(\.\d{1,4}){0,2}$`)

// handle lets in who may, and writes the error when there is one. A handler that writes nothing answers 200 with an empty
// body. Prisma: "No response will be returned upon successful execution"; clients fail on {} and on 204.
func (s *server) handle(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !versionSegment.MatchString(r.PathValue("version")) {
			s.fail(w, r, notPartOf(r.URL.Path))
			return
		}
		r, err := s.admit(r, rt.may)
		if err == nil {
			err = rt.answer(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// admit finds out who is asking, and whether that user may.
func (s *server) admit(r *http.Request, may tidewaiter.Permission) (*http.Request, error) {
	if may == anyone {
		return r, nil
	}
	user, err := s.auth.Authenticate(r)
	if err != nil {
		return r, err
	}
	if may != anyUser {
		if err := auth.Require(user, may); err != nil {
			return r, err
		}
	}
	return r.WithContext(control.WithActor(withUser(r.Context(), user), user.Name)), nil
}

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
		writeError(w, http.StatusMethodNotAllowed, "method "+r.Method+" is not allowed here, use "+strings.Join(allowed, " or "))
	}
}

// noStore forbids caching. Prisma: every response since 30.00 carries Cache-Control: no-store.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
