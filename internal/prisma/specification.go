package prisma

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// specification is the caller's part of Prisma's RegistrySpecification, in the vendor's order of the console. In this form
// it is kept with the registry and shown again: fields without omitzero are always there, because clients index them;
// the others only when they were sent, because Terraform sees a difference otherwise.
type specification struct {
	Version                  string                  `json:"version"`
	Registry                 string                  `json:"registry"`
	Namespace                string                  `json:"namespace"`
	Repository               string                  `json:"repository"`
	Tag                      string                  `json:"tag"`
	ExcludedRepositories     []string                `json:"excludedRepositories,omitzero"`
	ExcludedTags             []string                `json:"excludedTags,omitzero"`
	CredentialID             string                  `json:"credentialID"`
	OS                       string                  `json:"os"`
	Cap                      int                     `json:"cap"`
	Scanners                 int                     `json:"scanners"`
	VersionPattern           string                  `json:"versionPattern"`
	Collections              []string                `json:"collections"`
	CACert                   *string                 `json:"caCert,omitzero"`
	HarborDeploymentSecurity bool                    `json:"harborDeploymentSecurity"`
	JFrogRepoTypes           []string                `json:"jfrogRepoTypes,omitzero"`
	GitlabRegistrySpec       verbatim[gitlabSpec]    `json:"gitlabRegistrySpec,omitzero"`
	AzureCloudMetadata       verbatim[cloudMetadata] `json:"azureCloudMetadata,omitzero"`
}

// gitlabSpec is what a specification says about GitLab.
type gitlabSpec struct {
	UserID           string   `json:"userID"`
	ProjectIDs       []string `json:"projectIDs"`
	GroupIDs         []string `json:"groupIDs"`
	ExcludedGroupIDs []string `json:"excludedGroupIDs"`
	APIDomainName    string   `json:"apiDomainName"`
}

// cloudMetadata is Prisma's CloudMetadata. Nothing here acts on it.
type cloudMetadata struct {
	AccountID       string          `json:"accountID,omitempty"`
	AWSExecutionEnv string          `json:"awsExecutionEnv,omitempty"`
	Image           string          `json:"image,omitempty"`
	Labels          []externalLabel `json:"labels,omitempty"`
	Name            string          `json:"name,omitempty"`
	Provider        string          `json:"provider,omitempty"`
	Region          string          `json:"region,omitempty"`
	ResourceID      string          `json:"resourceID,omitempty"`
	ResourceURL     string          `json:"resourceURL,omitempty"`
	Type            string          `json:"type,omitempty"`
	VMID            string          `json:"vmID,omitempty"`
	VMImageID       string          `json:"vmImageID,omitempty"`
}

type externalLabel struct {
	Key        string    `json:"key,omitempty"`
	SourceName string    `json:"sourceName,omitempty"`
	SourceType string    `json:"sourceType,omitempty"`
	Timestamp  time.Time `json:"timestamp,omitzero"`
	Value      string    `json:"value,omitempty"`
}

// draft is a specification as it is sent: the caller's fields, and of the server's own only the id, which says which
// registry it continues. The others come back in every GET followed by a PUT and mean nothing.
type draft struct {
	specification
	ID anyString `json:"id"`
}

// anyString is a string that is empty when something else was sent in its place.
type anyString string

// UnmarshalJSON implements json.Unmarshaler.
func (s *anyString) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = ""
	}
	*s = anyString(text)
	return nil
}

// parseSpecification reads one specification and turns it into the registry it declares. Errors name the vendor's field.
func parseSpecification(b []byte, every time.Duration) (*tidewaiter.Registry, error) {
	var d draft
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, unmarshalError(err)
	}
	r, err := d.registry()
	if err != nil {
		return nil, err
	}
	r.ID = string(d.ID)
	r.Schedule = tidewaiter.Schedule{Every: every}
	if d.Collections == nil {
		d.Collections = []string{} // shown as an empty list, so kept as one: what comes back is the same then
	}
	if r.Declaration, err = json.Marshal(d.specification); err != nil {
		return nil, unmarshalError(err)
	}
	return r, nil
}

// registry translates the specification.
func (s *specification) registry() (*tidewaiter.Registry, error) {
	url, err := tidewaiter.ParseRegistryURL(s.Registry)
	if err != nil {
		return nil, renamed(err)
	}
	kind, err := kindOf(s.Version, url)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(s.Registry) == "" {
		kind = tidewaiter.KindDockerHub // Prisma: "An empty string in registry implicitly refers to Docker Hub"
	}
	platforms, err := platformsOf(s.OS)
	if err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	r := &tidewaiter.Registry{
		Kind: kind, URL: url, Origin: tidewaiter.OriginPrisma, CredentialID: s.CredentialID, Parallel: s.Scanners, Labels: defendersOf(s.Collections),
		Scope: tidewaiter.Scope{
			Select:              s.selectors(),
			ExcludeRepositories: present(s.ExcludedRepositories),
			ExcludeTags:         present(s.ExcludedTags),
			Newest:              s.Cap,
			VersionPattern:      s.VersionPattern,
			Platforms:           platforms,
		},
	}
	r.Settings = s.settings()
	if owner := s.owner(kind); owner != "" {
		r.Settings = map[string]string{"organization": owner}
	}
	if s.CACert != nil {
		r.TLS.CACert = *s.CACert
	}
	if err := r.Scope.Validate(); err != nil {
		return nil, renamed(err)
	}
	return r, nil
}

// settings is what only the specification's kind of registry knows, under the keys package connector documents. A list has
// commas.
func (s *specification) settings() map[string]string {
	out := map[string]string{}
	set := func(key string, values ...string) {
		if value := strings.Join(present(values), ","); value != "" {
			out[key] = value
		}
	}
	switch s.Version {
	case "gitlab":
		g := s.GitlabRegistrySpec.Value
		set("userID", g.UserID)
		set("projectIDs", g.ProjectIDs...)
		set("groupIDs", g.GroupIDs...)
		set("excludedGroupIDs", g.ExcludedGroupIDs...)
		set("apiDomainName", g.APIDomainName)
	case "bluemix":
		set("namespace", s.Namespace)
	case "jfrog":
		set("repoTypes", s.JFrogRepoTypes...)
	case "harbor":
		if s.HarborDeploymentSecurity {
			set("deploymentSecurity", "true")
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// owner is whose repositories are looked at in a registry that lists those of one owner at a time: what the pattern begins
// with.
func (s *specification) owner(kind tidewaiter.RegistryKind) string {
	owner, _, found := strings.Cut(unstar(s.Repository), "/")
	if kind != tidewaiter.KindDockerHub && kind != tidewaiter.KindGHCR && kind != tidewaiter.KindQuay || !found || strings.ContainsAny(owner, "*?") {
		return ""
	}
	return owner
}

// maxPattern is how long a pattern may be.
const maxPattern = 512

// check reports the first field with a value that cannot be.
func (s *specification) check() error {
	switch {
	case s.Cap < 0:
		return tidewaiter.Invalid("cap", "the number of images must not be negative").WithFix("0 means all")
	case s.Scanners < 0:
		return tidewaiter.Invalid("scanners", "the number of scanners must not be negative").WithFix("0 leaves it to the server")
	case len(s.Repository) > maxPattern:
		return tidewaiter.Invalid("repository", "the pattern is longer than %d characters", maxPattern)
	case len(s.Tag) > maxPattern:
		return tidewaiter.Invalid("tag", "the pattern is longer than %d characters", maxPattern)
	case len(s.Namespace) > maxPattern:
		return tidewaiter.Invalid("namespace", "the namespace is longer than %d characters", maxPattern)
	case s.Version == "bluemix" && strings.Contains(s.Namespace, "*"):
		return tidewaiter.Invalid("namespace", "a namespace cannot hold wildcards").WithFix("name one namespace in each specification")
	}
	for _, t := range s.JFrogRepoTypes {
		if !slices.Contains([]string{"local", "remote", "virtual"}, t) {
			return tidewaiter.Invalid("jfrogRepoTypes", "unknown repository type %q", cut(t, 40)).WithFix("one of local, remote, virtual")
		}
	}
	if g := s.GitlabRegistrySpec; s.Version == "gitlab" && !g.IsZero() && s.Repository == "" &&
		g.Value.UserID == "" && len(g.Value.ProjectIDs) == 0 && len(g.Value.GroupIDs) == 0 {
		return tidewaiter.Invalid("gitlabRegistrySpec", "it names nothing to look in").
			WithFix("set userID, projectIDs or groupIDs, or a repository")
	}
	return nil
}

// selectors says which repositories and tags the specification takes. Prisma: blank or * takes all. In the IBM registry
// repositories are named namespace/repository.
func (s *specification) selectors() []tidewaiter.Selector {
	repository, tag := unstar(s.Repository), unstar(s.Tag)
	if s.Version == "bluemix" && s.Namespace != "" && !strings.HasPrefix(repository, s.Namespace+"/") {
		repository = s.Namespace + "/" + orStar(repository)
	}
	if repository == "" && tag == "" {
		return nil
	}
	sel := tidewaiter.Selector{Repository: repository}
	if tag != "" {
		sel.Tags = []string{tag}
	}
	return []tidewaiter.Selector{sel}
}

func unstar(pattern string) string {
	if pattern = strings.TrimSpace(pattern); pattern == "*" {
		return ""
	}
	return pattern
}

func orStar(pattern string) string {
	if pattern == "" {
		return "*"
	}
	return pattern
}

// present drops empty patterns, which some clients send where they mean none; nil when nothing is left.
func present(patterns []string) []string {
	var out []string
	for _, p := range patterns {
		if strings.TrimSpace(p) != "" {
			out = append(out, p)
		}
	}
	return out
}

// systems pairs Prisma's base image types with platforms.
var systems = []struct {
	os       string
	platform tidewaiter.Platform
}{
	{"linux", tidewaiter.Platform{OS: "linux", Architecture: "amd64"}},
	{"linuxARM64", tidewaiter.Platform{OS: "linux", Architecture: "arm64"}},
	{"windows", tidewaiter.Platform{OS: "windows", Architecture: "amd64"}},
}

func platformsOf(os string) ([]tidewaiter.Platform, error) {
	if os == "" {
		return nil, nil
	}
	for _, s := range systems {
		if s.os == os {
			return []tidewaiter.Platform{s.platform}, nil
		}
	}
	return nil, tidewaiter.Invalid("os", "unknown base image type %q", cut(os, 40)).WithFix("one of linux, linuxARM64, windows")
}

// specificationOf returns the specification a registry was declared with.
func specificationOf(r *tidewaiter.Registry) (specification, error) {
	var s specification
	if err := json.Unmarshal(r.Declaration, &s); err != nil {
		return s, tidewaiter.Errorf(tidewaiter.ErrBug, "declaration of registry %s: %w", r.ID, err)
	}
	return s, nil
}

// fieldNames are the vendor's names for fields of ours that control and the domain find fault with.
var fieldNames = map[string]string{
	"url": "registry", "scope.newest": "cap", "scope.exclude": "excludedRepositories, excludedTags", "tls.caCert": "caCert",
}

// renamed gives an error the vendor's name of the field.
func renamed(err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok {
		return err
	}
	named := *e
	list, field, found := strings.Cut(e.Field, "].")
	if !found {
		list, field = "", e.Field
	} else {
		list = strings.Replace(list, "registries[", "specifications[", 1) + "]."
	}
	if vendor := fieldNames[field]; vendor != "" {
		field = vendor
	}
	named.Field = list + field
	return &named
}
