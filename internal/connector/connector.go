// Package connector opens declared registries: it turns a Registry and its Credential into something that lists and
// gives out images. How a kind of registry is listed and logged in to is known here and nowhere else.
package connector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Registries is where declared registries and their credentials are kept.
type Registries interface {
	Registry(ctx context.Context, id string) (*tidewaiter.Registry, error)
	Credential(ctx context.Context, id string) (*tidewaiter.Credential, error)
}

// Connector opens registries. It keeps open ones, with the tokens they obtained, until their declaration or credential
// changes. It is safe for concurrent use.
type Connector struct {
	client  *oci.Client
	store   Registries
	keyring *secret.Keyring

	mu   sync.Mutex
	open map[string]*opened
}

type opened struct {
	registry   time.Time // when the declaration was last changed
	credential time.Time
	source     *Source
}

// maxOpen bounds how many registries are kept open at once.
const maxOpen = 2000

// New returns a Connector.
func New(client *oci.Client, store Registries, keyring *secret.Keyring) *Connector {
	return &Connector{client: client, store: store, keyring: keyring, open: map[string]*opened{}}
}

// Open returns a declared registry, logged in lazily with its credential.
func (c *Connector) Open(ctx context.Context, registryID string) (*Source, error) {
	r, err := c.store.Registry(ctx, registryID)
	if err != nil {
		return nil, err
	}
	var cred *tidewaiter.Credential
	var credentialAt time.Time
	if r.CredentialID != "" {
		if cred, err = c.store.Credential(ctx, r.CredentialID); err != nil {
			return nil, fmt.Errorf("credential of registry %s: %w", r.URL, err)
		}
		credentialAt = cred.UpdatedAt
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.open[r.ID]; o != nil && o.registry.Equal(r.UpdatedAt) && o.credential.Equal(credentialAt) {
		return o.source, nil
	}
	plain, err := c.reveal(cred)
	if err != nil {
		return nil, err
	}
	source, err := c.connect(r, cred, plain, nil)
	if err != nil {
		return nil, err
	}
	if len(c.open) >= maxOpen {
		clear(c.open) // opening again costs a token each: cheap next to keeping count of uses
	}
	c.open[r.ID] = &opened{registry: r.UpdatedAt, credential: credentialAt, source: source}
	return source, nil
}

func (c *Connector) reveal(cred *tidewaiter.Credential) (secret.Value, error) {
	if cred == nil || len(cred.Sealed) == 0 {
		return secret.Value{}, nil
	}
	plain, err := c.keyring.Open(cred.Sealed, cred.ID)
	if err != nil {
		return secret.Value{}, fmt.Errorf("open credential %s: %w", cred.ID, err)
	}
	return plain, nil
}

func (c *Connector) connect(r *tidewaiter.Registry, cred *tidewaiter.Credential, plain secret.Value, trace *oci.Trace) (*Source, error) {
	e, err := endpoint(r, cred, plain)
	if err != nil {
		return nil, err
	}
	e.Trace = trace
	registry, err := c.client.Registry(e)
	if err != nil {
		return nil, err
	}
	return &Source{Registry: registry}, nil
}

// Probe asks a registry, declared or not, step by step whether it lets us in.
func (c *Connector) Probe(ctx context.Context, r *tidewaiter.Registry, cred *tidewaiter.Credential, plain secret.Value) []oci.Step {
	e, err := endpoint(r, cred, plain)
	if err != nil {
		return []oci.Step{oci.FailedStep("credential", err)}
	}
	hint := ""
	if names, ok := r.Scope.Named(); ok {
		hint = names[0]
	}
	return c.client.Probe(ctx, e, hint)
}

// endpoint says where a registry's v2 API is and how to log in to it.
func endpoint(r *tidewaiter.Registry, cred *tidewaiter.Credential, plain secret.Value) (oci.Endpoint, error) {
	e := oci.Endpoint{URL: r.URL, TLS: r.TLS}
	if cred == nil {
		return e, nil
	}
	e.CredentialKey = cred.ID
	switch cred.Kind {
	case tidewaiter.CredentialBasic, tidewaiter.CredentialDTR:
		e.Auth = oci.Basic(cred.Username, plain.Reveal())
	case tidewaiter.CredentialToken, tidewaiter.CredentialGitLab:
		e.Auth = tokenLogin(cred, plain)
	case tidewaiter.CredentialIBM:
		e.Auth = oci.Basic("iamapikey", plain.Reveal()) // IBM: the registry takes an API key under this user name
	case tidewaiter.CredentialGCP:
		e.Auth = oci.Basic("_json_key", plain.Reveal()) // Google: and a service account's JSON under this one
	default:
		return e, tidewaiter.Invalid("credentialID", "a credential of kind %s cannot log in to a registry of kind %s", cred.Kind, r.Kind).
			WithFix("use a credential with user name and password")
	}
	return e, nil
}

// tokenLogin sends a token as the password of its user where there is one, as registries that issue personal tokens want
// it, and as a bearer token otherwise.
func tokenLogin(cred *tidewaiter.Credential, plain secret.Value) oci.Auth {
	if cred.Username != "" {
		return oci.Basic(cred.Username, plain.Reveal())
	}
	return oci.Bearer(plain.Reveal())
}
