package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// PreviewRequest says how far a preview looks. What is zero has the default.
type PreviewRequest struct {
	Scope        *Scope `json:"scope,omitempty" doc:"In place of the registry's own."`
	Repositories int    `json:"repositories,omitempty" minimum:"0" maximum:"1000" doc:"In scope, whose tags are listed; 50."`
	Tags         int    `json:"tags,omitempty" minimum:"0" maximum:"1000" doc:"Shown of each repository; 20."`
	Requests     int    `json:"requests,omitempty" minimum:"0" maximum:"10000" doc:"To the registry, about; 500."`
	After        string `json:"after,omitempty" maxLength:"65536" doc:"The cursor an earlier preview came with."`
}

// DraftPreviewRequest is a preview of a registry that is not stored.
type DraftPreviewRequest struct {
	DraftRequest
	PreviewRequest
}

// Preview is which repositories and tags a scope selects, and what scans take.
type Preview struct {
	Repositories []PreviewedRepository `json:"repositories"`
	Summary      PreviewSummary        `json:"summary"`
}

// PreviewedRepository is one repository, with its tags when it is in scope.
type PreviewedRepository struct {
	Name         string         `json:"name"`
	Decision     Decision       `json:"decision"`
	Tags         []PreviewedTag `json:"tags,omitempty"` // selected ones first
	TagsSeen     int            `json:"tagsSeen"`
	TagsSelected int            `json:"tagsSelected"`
	LeftOut      map[string]int `json:"leftOut,omitempty"` // tags by the reason why
	CutShort     string         `json:"cutShort,omitempty"`
	ErrorKind    string         `json:"errorKind,omitempty"`
	Error        string         `json:"error,omitempty"`
}

// PreviewedTag is one tag.
type PreviewedTag struct {
	Name      string    `json:"name"`
	Digest    string    `json:"digest,omitempty"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	Decision  Decision  `json:"decision"`
}

// Decision says whether something is in scope, and why.
type Decision struct {
	Included bool   `json:"included"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail,omitempty"` // the pattern or limit that decided
}

// PreviewSummary is what a preview adds up to.
type PreviewSummary struct {
	Repositories         int            `json:"repositories"`
	RepositoriesSelected int            `json:"repositoriesSelected"`
	RepositoriesListed   int            `json:"repositoriesListed"`
	RepositoriesFailed   int            `json:"repositoriesFailed"`
	RepositoriesLeftOut  map[string]int `json:"repositoriesLeftOut,omitempty"`
	Tags                 int            `json:"tags"`
	TagsSelected         int            `json:"tagsSelected"`
	TagsLeftOut          map[string]int `json:"tagsLeftOut,omitempty"`
	Requests             Cost           `json:"requests"`                 // of this preview
	FirstPass            Cost           `json:"firstPass"`                // of a scan's listing, with nothing known
	SecondPass           Cost           `json:"secondPass"`               // of the next, with nothing changed
	Rotation             int            `json:"rotation,omitempty"`       // known tags asked again within RotationWithin, in addition
	RotationWithin       string         `json:"rotationWithin,omitempty"` // as 24h0m0s
	CutShort             string         `json:"cutShort,omitempty"`       // why not everything was looked at
	Next                 string         `json:"next,omitempty"`           // goes on from there
	Notes                []string       `json:"notes,omitempty"`
}

// Cost is how many requests something takes, and what for.
type Cost struct {
	Requests  int            `json:"requests"`
	By        map[string]int `json:"by,omitempty"`
	Estimated bool           `json:"estimated,omitempty"` // worked out from a part
	AtLeast   bool           `json:"atLeast,omitempty"`   // it may be more
}

// PreviewRegistry asks a declared registry what its scope, or another, selects.
func (c *Client) PreviewRegistry(ctx context.Context, id string, req PreviewRequest) (*Preview, error) {
	var out Preview
	return &out, c.do(ctx, http.MethodPost, registryPath(id, "/preview"), nil, req, &out)
}

// PreviewDraft does the same for a registry that is not stored.
func (c *Client) PreviewDraft(ctx context.Context, req DraftPreviewRequest) (*Preview, error) {
	var out Preview
	return &out, c.do(ctx, http.MethodPost, "/registries/preview", nil, req, &out)
}

// RegistryRepository is a repository of a declared registry, with what its last listing made of it.
type RegistryRepository struct {
	Name         string    `json:"name"`
	Decision     Decision  `json:"decision"`
	TagsSeen     int       `json:"tagsSeen"`
	TagsSelected int       `json:"tagsSelected"`
	ListedAt     time.Time `json:"listedAt,omitzero"`
	GoneAt       time.Time `json:"goneAt,omitzero"`
	Images       int       `json:"images"`
	Scanned      int       `json:"scanned"`
	Vulnerable   int       `json:"vulnerable"`
}

// RegistryTag is a tag in scope.
type RegistryTag struct {
	Name      string    `json:"name"`
	Digest    string    `json:"digest,omitempty"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	CheckedAt time.Time `json:"checkedAt"` // when the registry last said where it points
	ChangedAt time.Time `json:"changedAt,omitzero"`
	ErrorKind string    `json:"errorKind,omitempty"`
	Error     string    `json:"error,omitempty"` // of the last attempt to scan it
}

// RegistryRepositories lists a page of a registry's repositories, by name.
func (c *Client) RegistryRepositories(ctx context.Context, id string, limit int, after string) (*Page[RegistryRepository], error) {
	v := values{url.Values{}}
	v.page(limit, after)
	var out Page[RegistryRepository]
	return &out, c.do(ctx, http.MethodGet, registryPath(id, "/repositories"), v.Values, nil, &out)
}

// RegistryTags lists a page of the tags a registry has in scope in a repository, by name.
func (c *Client) RegistryTags(ctx context.Context, id, repository string, limit int, after string) (*Page[RegistryTag], error) {
	v := values{url.Values{"repository": {repository}}}
	v.page(limit, after)
	var out Page[RegistryTag]
	return &out, c.do(ctx, http.MethodGet, registryPath(id, "/tags"), v.Values, nil, &out)
}
