package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CredentialDraft is something to log in to registries with, as it is declared.
type CredentialDraft struct {
	Name     string            `json:"name,omitempty" maxLength:"256"`
	Kind     string            `json:"kind" doc:"As the forms of GET /kinds have it."`
	Username string            `json:"username,omitempty"`
	Secret   string            `json:"secret,omitempty" writeOnly:"true" doc:"Password, token, key or document. It is sealed and never shown; without it an update keeps the one there is."`
	Settings map[string]string `json:"settings,omitempty" doc:"What is not secret: roleArn, tenantId, …"`
}

// Credential is a stored credential, without its secret.
type Credential struct {
	ID         string            `json:"id"`
	Origin     string            `json:"origin"`
	Name       string            `json:"name,omitempty"`
	Kind       string            `json:"kind"`
	Username   string            `json:"username,omitempty"`
	HasSecret  bool              `json:"hasSecret"`
	Settings   map[string]string `json:"settings,omitempty"`
	Registries []string          `json:"registries,omitempty"` // ids of those that use it; only where one credential is shown
	Owner      string            `json:"owner,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
}

// Credentials lists a page of the stored credentials.
func (c *Client) Credentials(ctx context.Context, limit int, after string) (*Page[Credential], error) {
	v := values{url.Values{}}
	v.page(limit, after)
	var out Page[Credential]
	return &out, c.do(ctx, http.MethodGet, "/credentials", v.Values, nil, &out)
}

// Credential shows one credential.
func (c *Client) Credential(ctx context.Context, id string) (*Credential, error) {
	var out Credential
	return &out, c.do(ctx, http.MethodGet, "/credentials/"+url.PathEscape(id), nil, nil, &out)
}

// AddCredential stores a credential.
func (c *Client) AddCredential(ctx context.Context, draft CredentialDraft) (*Credential, error) {
	var out Credential
	return &out, c.do(ctx, http.MethodPost, "/credentials", nil, draft, &out)
}

// UpdateCredential replaces a credential. Without a secret the one there is stays.
func (c *Client) UpdateCredential(ctx context.Context, id string, draft CredentialDraft) (*Credential, error) {
	var out Credential
	return &out, c.do(ctx, http.MethodPut, "/credentials/"+url.PathEscape(id), nil, draft, &out)
}

// DeleteCredential removes a credential that no registry uses.
func (c *Client) DeleteCredential(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/credentials/"+url.PathEscape(id), nil, nil, nil)
}

// RegistryKind says what a kind of registry is and can do.
type RegistryKind struct {
	Kind            string           `json:"kind"`
	Title           string           `json:"title"`
	URLPattern      string           `json:"urlPattern,omitempty"` // regular expression a registry's address matches; empty is any
	URLExample      string           `json:"urlExample"`
	Credentials     []CredentialForm `json:"credentials"` // in the order to offer them
	Anonymous       bool             `json:"anonymous"`
	Settings        []FormField      `json:"settings,omitempty"`
	Repositories    string           `json:"repositories"` // listed by: native, distribution
	Tags            string           `json:"tags"`
	Needs           string           `json:"needs,omitempty"`
	DigestInListing bool             `json:"digestInListing"`
	TimeInListing   string           `json:"timeInListing,omitempty"`
	NewestFirst     bool             `json:"newestFirst"`
	Platforms       bool             `json:"platformsInListing"`
	Since           bool             `json:"since"`
	PushEvents      []string         `json:"pushEvents,omitempty"`
	TokenSeconds    int              `json:"tokenSeconds,omitempty"` // how long what is pulled with lives; 0 when it does not expire by itself
}

// CredentialForm is one way to log in.
type CredentialForm struct {
	Kind   string      `json:"kind"`
	Title  string      `json:"title"`
	Fields []FormField `json:"fields"`
}

// FormField is one thing to fill in. Key is username or secret for those, else a key of settings.
type FormField struct {
	Key      string   `json:"key"`
	Title    string   `json:"title"`
	Secret   bool     `json:"secret,omitempty"`
	Required bool     `json:"required,omitempty"`
	Values   []string `json:"values,omitempty"` // when only these are allowed
}

// Kinds lists every kind of registry.
func (c *Client) Kinds(ctx context.Context) ([]RegistryKind, error) {
	var out Page[RegistryKind]
	err := c.do(ctx, http.MethodGet, "/kinds", nil, nil, &out)
	return out.Items, err
}
