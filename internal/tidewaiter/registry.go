package tidewaiter

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// RegistryKind says which protocol and API a registry speaks.
type RegistryKind string

// The registry kinds.
const (
	KindOCI         RegistryKind = "oci" // any Docker Registry v2 or OCI distribution endpoint
	KindDockerHub   RegistryKind = "dockerhub"
	KindECR         RegistryKind = "ecr"
	KindACR         RegistryKind = "acr"
	KindGAR         RegistryKind = "gar"
	KindArtifactory RegistryKind = "artifactory"
	KindNexus       RegistryKind = "nexus"
	KindQuay        RegistryKind = "quay"
	KindHarbor      RegistryKind = "harbor"
	KindGitLab      RegistryKind = "gitlab"
	KindGHCR        RegistryKind = "ghcr"
	KindOpenShift   RegistryKind = "openshift"
	KindDTR         RegistryKind = "dtr"
	KindIBM         RegistryKind = "ibm"
	KindOCIR        RegistryKind = "ocir"
)

// Origin is the surface a registry was declared through.
type Origin string

// The origins.
const (
	OriginNative Origin = "native"
	OriginQualys Origin = "qualys"
	OriginPrisma Origin = "prisma"
)

// DockerHubURL is where an empty registry address points. Prisma: "An empty string in registry implicitly refers to
// Docker Hub."
const DockerHubURL = "https://registry-1.docker.io"

// Registry is one declared place to look for images.
type Registry struct {
	ID           string // UUID
	Name         string // unique within its origin where the origin asks for it; may be empty
	Kind         RegistryKind
	URL          string // scheme and host, perhaps a path; never credentials
	Origin       Origin
	Position     int    // its place in the list it was declared in (Prisma keeps the order)
	CredentialID string // "" is anonymous
	TLS          TLS
	Scope        Scope
	Schedule     Schedule
	Parallel     int // image and layer jobs at once for this registry, over all workers; 0 leaves it to the budget

	// Labels are what a worker must have to work on this registry: "zone=dmz". None lets every worker.
	Labels []string
	// PausedAt is since when no work on the registry is begun; zero when it is not paused. Storing a registry does not
	// change it.
	PausedAt time.Time

	// Settings holds what only one kind knows: a region, account or project, the groups of a GitLab, the repository types
	// of an Artifactory. Package connector documents the keys of each kind.
	Settings map[string]string

	// Declaration is what the declaring surface needs to show the registry again as it was sent. Nobody else reads it.
	Declaration json.RawMessage

	CreatedAt time.Time
	UpdatedAt time.Time
}

// TLS says how a registry's certificate is judged.
type TLS struct {
	CACert     string `json:"caCert,omitempty"`     // PEM; trusted in addition to the system's
	SkipVerify bool   `json:"skipVerify,omitempty"` // trust anything; for tests and emergencies
}

// Host returns the host and, when it is not the scheme's own, the port of the registry's URL: the part that image names
// begin with.
func (r *Registry) Host() string { return HostOf(r.URL) }

// HostOf returns the host[:port] of a registry URL in lower case. The names Docker Hub goes by all become "docker.io".
func HostOf(registryURL string) string {
	u, err := url.Parse(registryURL)
	if err != nil || u.Host == "" {
		return strings.ToLower(strings.TrimSuffix(registryURL, "/"))
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	if IsDockerHub(host) {
		return "docker.io"
	}
	return host
}

// IsDockerHub reports whether host is one of the names Docker Hub goes by.
func IsDockerHub(host string) bool {
	switch host {
	case "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com":
		return true
	}
	return false
}

// ParseRegistryURL reads a registry address as people write it: with or without a scheme, with or without a trailing
// slash; empty means Docker Hub. It refuses user information, queries, fragments and schemes other than http and https,
// with an ErrInvalid on field "url".
func ParseRegistryURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" || IsDockerHub(strings.ToLower(strings.TrimSuffix(s, "/"))) {
		return DockerHubURL, nil
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", Invalid("url", "not a valid registry address").WithFix("write it as https://host[:port]")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", Invalid("url", "scheme %q is not supported", u.Scheme).WithFix("use https:// (or http:// for tests)")
	case u.User != nil:
		return "", Invalid("url", "the address must not hold a user or password").WithFix("use a credential")
	case u.Hostname() == "" || strings.ContainsAny(u.Host, " \t\r\n\"'<>\\^`{|}"):
		return "", Invalid("url", "the address has no valid host").WithFix("write it as https://host[:port]")
	case u.RawQuery != "" || u.Fragment != "":
		return "", Invalid("url", "the address must not hold a query or fragment")
	case len(s) > 2048:
		return "", Invalid("url", "the address is longer than 2048 characters")
	}
	if IsDockerHub(strings.ToLower(u.Host)) {
		return DockerHubURL, nil
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimRight(u.Path, "/")
	return u.String(), nil
}
