package doctor

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// detection asks a registry without a credential what it is.
type detection struct {
	client   *oci.Client
	registry *tidewaiter.Registry
	trace    *oci.Trace
}

type detected struct {
	kind       Kind
	challenges []oci.Challenge
	headers    map[string]string
}

// signal is one thing that speaks for a kind. A strength of 3 is as good as certain, 2 likely, 1 a hint.
type signal struct {
	kind     tidewaiter.RegistryKind
	strength int
	because  string
}

// answer is what came back for an anonymous request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (d detection) run(ctx context.Context) detected {
	var out detected
	signals := hostSignals(d.registry.URL)
	get, err := d.getter()
	if err != nil {
		return out
	}
	base := strings.TrimSuffix(strings.TrimRight(d.registry.URL, "/"), "/v2")
	v2, reached := get(ctx, base+"/v2/")
	if reached {
		out.challenges, out.headers = oci.Challenges(v2.header), shownHeaders(v2.header)
		signals = append(signals, headerSignals(v2.header)...)
		signals = append(signals, challengeSignals(out.challenges)...)
		if v2.status == http.StatusOK || v2.status == http.StatusUnauthorized {
			signals = append(signals, signal{tidewaiter.KindOCI, 0, "GET /v2/ answers as a registry does"})
		}
	}
	root := rootOf(d.registry.URL)
	for _, p := range places {
		if a, ok := get(ctx, root+p.path); ok && p.match(a) {
			signals = append(signals, signal{p.kind, 3, p.because})
		}
	}
	out.kind = decide(signals)
	return out
}

// maxProbe bounds the body of an answer to a question about the kind.
const maxProbe = 64 << 10

func (d detection) getter() (func(context.Context, string) (answer, bool), error) {
	client, err := d.client.HTTP(oci.Endpoint{TLS: d.registry.TLS, Trace: d.trace})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, address string) (answer, bool) {
		req, err := http.NewRequestWithContext(oci.Asking(ctx, oci.RequestOther), http.MethodGet, address, nil)
		if err != nil {
			return answer{}, false
		}
		resp, err := client.Do(req)
		if err != nil {
			return answer{}, false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProbe)) // cut short it matches as well or not at all
		return answer{status: resp.StatusCode, header: resp.Header, body: body}, true
	}, nil
}

func rootOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// hosts are names that belong to one kind and are not in the kind's own pattern.
var hosts = []struct {
	kind   tidewaiter.RegistryKind
	suffix string // a name, or with a dot in front the end of one
}{
	{tidewaiter.KindECR, "public.ecr.aws"}, {tidewaiter.KindGAR, "gcr.io"}, {tidewaiter.KindGAR, ".gcr.io"}, {tidewaiter.KindGHCR, "ghcr.io"},
	{tidewaiter.KindQuay, "quay.io"}, {tidewaiter.KindGitLab, "registry.gitlab.com"}, {tidewaiter.KindArtifactory, ".jfrog.io"},
	{tidewaiter.KindOpenShift, "image-registry.openshift-image-registry.svc"},
}

// kindOfHost returns the kind an address belongs to by its name alone; "" when any could be there.
func kindOfHost(address string) tidewaiter.RegistryKind {
	for _, k := range connector.Kinds() {
		if k.Matches(rootOf(address)) {
			return k.Kind
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	name := strings.ToLower(u.Hostname())
	for _, h := range hosts {
		if name == h.suffix || h.suffix[0] == '.' && strings.HasSuffix(name, h.suffix) {
			return h.kind
		}
	}
	return ""
}

func hostSignals(address string) []signal {
	if kind := kindOfHost(address); kind != "" {
		return []signal{{kind, 3, "the address is one of its own"}}
	}
	return nil
}

// headerSignals reads what the answer to GET /v2/ says by the way.
func headerSignals(h http.Header) []signal {
	var out []signal
	add := func(kind tidewaiter.RegistryKind, strength int, because string) {
		out = append(out, signal{kind, strength, because})
	}
	server := strings.ToLower(h.Get("Server"))
	switch {
	case strings.HasPrefix(server, "nexus/"):
		add(tidewaiter.KindNexus, 3, "the Server header names Nexus")
	case strings.HasPrefix(server, "artifactory/"):
		add(tidewaiter.KindArtifactory, 3, "the Server header names Artifactory")
	case strings.HasPrefix(server, "azurecontainerregistry"):
		add(tidewaiter.KindACR, 3, "the Server header names Azure Container Registry")
	}
	for name := range h {
		switch {
		case strings.HasPrefix(name, "X-Jfrog-"), strings.HasPrefix(name, "X-Artifactory-"):
			add(tidewaiter.KindArtifactory, 3, "it sends the header "+name)
		case name == "X-Ms-Correlation-Request-Id":
			add(tidewaiter.KindACR, 2, "it sends the header "+name)
		case strings.HasPrefix(name, "X-Harbor-"):
			add(tidewaiter.KindHarbor, 2, "it sends the header "+name)
		}
	}
	return out
}

// challengeSignals reads where the registry wants one to log in.
func challengeSignals(challenges []oci.Challenge) []signal {
	var out []signal
	for _, c := range challenges {
		for _, m := range marks {
			if m.match(c) {
				out = append(out, signal{m.kind, m.strength, m.because})
			}
		}
	}
	return out
}

// marks are challenges that are known. Harbor, GitLab, Quay, Docker Hub, GitHub and AWS name themselves as service; the
// others have a path of their own for tokens.
var marks = []struct {
	kind     tidewaiter.RegistryKind
	strength int
	because  string
	match    func(oci.Challenge) bool
}{
	{tidewaiter.KindHarbor, 3, "tokens are for the service harbor-registry", service("harbor-registry")},
	{tidewaiter.KindGitLab, 3, "tokens are for the service container_registry", service("container_registry")},
	{tidewaiter.KindDockerHub, 3, "tokens are for the service registry.docker.io", service("registry.docker.io")},
	{tidewaiter.KindGHCR, 3, "tokens are for the service ghcr.io", service("ghcr.io")},
	{tidewaiter.KindECR, 3, "the login is for the service ecr.amazonaws.com", service("ecr.amazonaws.com")},
	{tidewaiter.KindECR, 3, "tokens are for the service public.ecr.aws", service("public.ecr.aws")},
	{tidewaiter.KindACR, 2, "tokens come from /oauth2/token, as Azure's do", realm("/oauth2/token")},
	{tidewaiter.KindIBM, 2, "tokens come from /oauth/token for the service registry, as IBM's do", func(c oci.Challenge) bool {
		return realm("/oauth/token")(c) && c.Service == "registry"
	}},
	{tidewaiter.KindDTR, 2, "tokens come from /auth/token, as Docker Trusted Registry's do", realm("/auth/token")},
	{tidewaiter.KindOpenShift, 3, "tokens come from /openshift/token", realm("/openshift/token")},
	{tidewaiter.KindOCIR, 3, "tokens come from /20180419/docker/token, as Oracle's do", realm("/20180419/docker/token")},
	{tidewaiter.KindQuay, 2, "tokens come from /v2/auth, as Quay's do", realm("/v2/auth")},
	{tidewaiter.KindGAR, 1, "tokens come from /v2/token, as Google's do", realm("/v2/token")},
	{tidewaiter.KindNexus, 3, "the login is to Sonatype Nexus Repository Manager", named("Sonatype Nexus Repository Manager")},
	{tidewaiter.KindArtifactory, 3, "the login is to the Artifactory Realm", named("Artifactory Realm")},
}

func service(name string) func(oci.Challenge) bool {
	return func(c oci.Challenge) bool { return c.Service == name }
}

func realm(path string) func(oci.Challenge) bool {
	return func(c oci.Challenge) bool {
		u, err := url.Parse(c.Realm)
		return err == nil && u.Host != "" && strings.TrimRight(u.Path, "/") == path
	}
}

func named(realm string) func(oci.Challenge) bool {
	return func(c oci.Challenge) bool { return strings.EqualFold(c.Realm, realm) }
}

// places are addresses, on the registry's own host, that only one kind has and that answer everybody.
var places = []struct {
	kind    tidewaiter.RegistryKind
	path    string
	because string
	match   func(answer) bool
}{
	{tidewaiter.KindHarbor, "/api/v2.0/systeminfo", "/api/v2.0/systeminfo is Harbor's", func(a answer) bool {
		var info struct {
			Version  string `json:"harbor_version"`
			AuthMode string `json:"auth_mode"`
		}
		return a.status == http.StatusOK && json.Unmarshal(a.body, &info) == nil && (info.Version != "" || info.AuthMode != "")
	}},
	{tidewaiter.KindArtifactory, "/artifactory/api/system/ping", "/artifactory/api/system/ping answers OK", func(a answer) bool {
		return a.status == http.StatusOK && strings.TrimSpace(string(a.body)) == "OK"
	}},
	{tidewaiter.KindQuay, "/api/v1/discovery", "/api/v1/discovery describes Quay's API", func(a answer) bool {
		var doc struct {
			Info struct {
				Title string `json:"title"`
			} `json:"info"`
			Swagger string          `json:"swagger"`
			APIs    json.RawMessage `json:"apis"`
		}
		return a.status == http.StatusOK && json.Unmarshal(a.body, &doc) == nil &&
			(strings.Contains(doc.Info.Title, "Quay") || doc.Swagger != "" && doc.Info.Title != "" || doc.APIs != nil)
	}},
	{tidewaiter.KindNexus, "/service/rest/v1/status", "/service/rest/v1/status is Nexus's", func(a answer) bool {
		return a.status == http.StatusOK && strings.HasPrefix(strings.ToLower(a.header.Get("Server")), "nexus")
	}},
}

// decide adds up what speaks for each kind.
func decide(signals []signal) Kind {
	sum, reasons := map[tidewaiter.RegistryKind]int{}, map[tidewaiter.RegistryKind][]string{}
	for _, s := range signals {
		if slices.Contains(reasons[s.kind], s.because) {
			continue
		}
		sum[s.kind] += s.strength
		reasons[s.kind] = append(reasons[s.kind], s.because)
	}
	var best tidewaiter.RegistryKind
	for _, k := range connector.Kinds() { // in their order, so that equals are decided the same way each time
		if len(reasons[k.Kind]) > 0 && (best == "" || sum[k.Kind] > sum[best]) {
			best = k.Kind
		}
	}
	out := Kind{Kind: best, Because: reasons[best]}
	can, _ := connector.CapabilitiesOf(best)
	out.Title = can.Title
	switch n := sum[best]; {
	case best == "":
	case best == tidewaiter.KindOCI:
		out.Certainty = Likely // it may be any that hides what it is
	case n >= 3:
		out.Certainty = Certain
	case n == 2:
		out.Certainty = Likely
	default:
		out.Certainty = Guess
	}
	return out
}

// headersShown are those of the answer to GET /v2/ that help and hold nothing personal.
var headersShown = []string{"Server", "Docker-Distribution-Api-Version", "Via", "X-Cache", "X-Jfrog-Version", "X-Artifactory-Id", "Content-Type"}

func shownHeaders(h http.Header) map[string]string {
	out := map[string]string{}
	for _, name := range headersShown {
		if v := h.Get(name); v != "" {
			out[name] = oci.CleanText(v, 200)
		}
	}
	return out
}
