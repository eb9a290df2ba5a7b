package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// RegistryDraft is a registry as it is declared.
type RegistryDraft struct {
	Name       string            `json:"name,omitempty" maxLength:"256"`
	Kind       string            `json:"kind" doc:"As GET /kinds lists them."`
	URL        string            `json:"url" maxLength:"2048" doc:"https://host[:port], never with a login in it."`
	Credential string            `json:"credential,omitempty" maxLength:"256" doc:"Id of a stored credential; empty is anonymous."`
	TLS        RegistryTLS       `json:"tls,omitzero"`
	Scope      Scope             `json:"scope,omitzero"`
	Schedule   Schedule          `json:"schedule,omitzero"`
	Parallel   int               `json:"parallel,omitempty" minimum:"0" doc:"Image and layer jobs at once, over all workers; 0 leaves it to the budget."`
	Labels     []string          `json:"labels,omitempty" maxItems:"32" doc:"Only workers that have all of these talk to it, as zone=dmz; * stands for any text and | for or."`
	Settings   map[string]string `json:"settings,omitempty" doc:"What only its kind knows, and recheckWithin, recheckMutable, recheckAtMost."`
}

// Registry is a declared registry.
type Registry struct {
	ID     string `json:"id"`
	Origin string `json:"origin"` // the API it was declared through: native, prisma, qualys
	Host   string `json:"host"`   // what the names of its images begin with
	RegistryDraft
	CreatedAt time.Time      `json:"createdAt"`
	UpdatedAt time.Time      `json:"updatedAt"`
	PausedAt  time.Time      `json:"pausedAt,omitzero"` // since when nothing is begun that talks to it
	Waiting   string         `json:"waiting,omitempty"` // what keeps its scans from going on: it is paused, or no worker is there
	Totals    RegistryTotals `json:"totals"`
	Finished  *Scan          `json:"finished,omitempty"` // the newest scan of all of it that ended
	Current   *Scan          `json:"current,omitempty"`  // the newest still on its way
}

// RegistryTotals is what is known of a registry in numbers.
type RegistryTotals struct {
	Repositories int       `json:"repositories"` // in scope
	Images       int       `json:"images"`       // distinct ones
	Scanned      int       `json:"scanned"`      // of these judged
	Vulnerable   int       `json:"vulnerable"`   // of these with a vulnerability
	LastScanned  time.Time `json:"lastScanned,omitzero"`
}

// RegistryTLS says how a registry's certificate is judged.
type RegistryTLS struct {
	CACert     string `json:"caCert,omitempty" doc:"PEM; trusted in addition to the system's."`
	SkipVerify bool   `json:"skipVerify,omitempty" doc:"Trust any certificate; for tests and emergencies."`
}

// Scope says which repositories and tags count. In patterns * stands for any run of characters, in either case.
type Scope struct {
	Select              []Selector `json:"select,omitempty" doc:"A tag is in when any selector takes it; none takes all."`
	ExcludeRepositories []string   `json:"excludeRepositories,omitempty"`
	ExcludeTags         []string   `json:"excludeTags,omitempty"`
	Newest              int        `json:"newest,omitempty" minimum:"0" doc:"Of each repository, the most recent; 0 is all."`
	VersionPattern      string     `json:"versionPattern,omitempty"`
	MaxAgeDays          int        `json:"maxAgeDays,omitempty" minimum:"0"`
	Platforms           []string   `json:"platforms,omitempty" doc:"Out of an index, as linux/arm64; none takes linux/amd64, else the first."`
}

// Selector takes the tags of some repositories.
type Selector struct {
	Repository string   `json:"repository,omitempty"`
	Tags       []string `json:"tags,omitempty"`
}

// Schedule says when a registry is scanned by itself; the zero Schedule is on demand only.
type Schedule struct {
	Every   string `json:"every,omitempty" doc:"Between two scans, at least an hour: 24h."`
	Weekday string `json:"weekday,omitempty" enum:"sunday,monday,tuesday,wednesday,thursday,friday,saturday" doc:"With an interval of seven days."`
	At      string `json:"at,omitempty" doc:"Time of day in UTC, as 03:30, with an interval of whole days."`
}

// Scan is one run over a registry.
type Scan struct {
	ID           string    `json:"id"`
	Registry     string    `json:"registry"`
	State        string    `json:"state"` // queued, listing, scanning, completed, failed, canceled
	Complete     bool      `json:"complete"`
	Repositories int       `json:"repositories"` // in scope
	Listed       int       `json:"listed"`       // of these
	TagsSeen     int       `json:"tagsSeen"`
	TagsSelected int       `json:"tagsSelected"`
	Images       int       `json:"images"`
	Done         int       `json:"done"`
	Failed       int       `json:"failed"`
	Error        string    `json:"error,omitempty"`
	CreatedAt    time.Time `json:"createdAt"`
	StartedAt    time.Time `json:"startedAt,omitzero"`
	EndedAt      time.Time `json:"endedAt,omitzero"`
}

// ScanRequest says how to scan a registry.
type ScanRequest struct {
	Force      bool   `json:"force,omitempty" doc:"Ask for every tag where it points, and judge known images again too."`
	Repository string `json:"repository,omitempty" doc:"Scan one image only, with tag or digest."`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest,omitempty"`
}

// Step is one step of a validation.
type Step struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	TookMS int64  `json:"tookMs"`
	Detail string `json:"detail,omitempty"`
	Kind   string `json:"kind,omitempty"` // of the error
	Error  string `json:"error,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Validation is what a registry did when it was asked.
type Validation struct {
	OK    bool   `json:"ok"`
	Steps []Step `json:"steps"`
}

// RegistryQuery chooses registries; what is zero does not restrict.
type RegistryQuery struct {
	Kind, Origin, Host, Name string
	Limit                    int
	After                    string
}

// Registries lists a page of the declared registries.
func (c *Client) Registries(ctx context.Context, q RegistryQuery) (*Page[Registry], error) {
	v := values{url.Values{}}
	for name, value := range map[string]string{"kind": q.Kind, "origin": q.Origin, "host": q.Host, "name": q.Name} {
		v.set(name, value)
	}
	v.page(q.Limit, q.After)
	var out Page[Registry]
	return &out, c.do(ctx, http.MethodGet, "/registries", v.Values, nil, &out)
}

// Registry shows one registry.
func (c *Client) Registry(ctx context.Context, id string) (*Registry, error) {
	var out Registry
	return &out, c.do(ctx, http.MethodGet, registryPath(id, ""), nil, nil, &out)
}

// DeclareRegistry stores a registry and, with scan, scans it.
func (c *Client) DeclareRegistry(ctx context.Context, draft RegistryDraft, scan bool) (*Registry, error) {
	var out Registry
	return &out, c.do(ctx, http.MethodPost, "/registries", url.Values{"scan": {strconv.FormatBool(scan)}}, draft, &out)
}

// UpdateRegistry replaces a registry; results and history stay.
func (c *Client) UpdateRegistry(ctx context.Context, id string, draft RegistryDraft, scan bool) (*Registry, error) {
	var out Registry
	return &out, c.do(ctx, http.MethodPut, registryPath(id, ""), url.Values{"scan": {strconv.FormatBool(scan)}}, draft, &out)
}

// DeleteRegistry removes a registry and what only it led to.
func (c *Client) DeleteRegistry(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, registryPath(id, ""), nil, nil, nil)
}

// ScanRegistry starts a scan, or returns the one that is on its way.
func (c *Client) ScanRegistry(ctx context.Context, id string, req ScanRequest) (*Scan, error) {
	var out Scan
	return &out, c.do(ctx, http.MethodPost, registryPath(id, "/scan"), nil, req, &out)
}

// ValidateRegistry asks a declared registry, step by step, whether it lets us in.
func (c *Client) ValidateRegistry(ctx context.Context, id string) (*Validation, error) {
	var out Validation
	return &out, c.do(ctx, http.MethodPost, registryPath(id, "/validate"), nil, nil, &out)
}

// ValidateDraft does the same for a registry that is not stored; login nil uses the credential the draft names.
func (c *Client) ValidateDraft(ctx context.Context, draft RegistryDraft, login *CredentialDraft) (*Validation, error) {
	var out Validation
	return &out, c.do(ctx, http.MethodPost, "/registries/validate", nil, DraftRequest{Registry: draft, Login: login}, &out)
}

// DraftRequest is a registry that is not stored, with what to log in with.
type DraftRequest struct {
	Registry RegistryDraft    `json:"registry"`
	Login    *CredentialDraft `json:"login,omitempty" doc:"In place of a stored credential. It is not kept."`
}

func registryPath(id, rest string) string { return "/registries/" + url.PathEscape(id) + rest }
