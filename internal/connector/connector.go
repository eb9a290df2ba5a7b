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

// Options configures a Connector. The zero value is usable.
type Options struct {
	// Endpoints replaces the base URLs of vendors' APIs, by the keys the README lists ("hub", "ecr", "sts", …). For the kind
	// whose API is replaced the registry's address is not held against the vendor's host names either: whoever sets this
	// decides where credentials go.
	Endpoints map[string]string

	// Anonymous is what to log in to registries with where no credential is given; nil is nothing. The command line gives what
	// docker login stored. Native APIs are asked without it.
	Anonymous oci.Auth

	// TokenFiles is the folder that rotating token files may be in; "" is /var/run/secrets.
	TokenFiles string
}

// Connector opens registries. It keeps open ones, with the tokens they obtained, until their declaration or credential
// changes. It is safe for concurrent use.
type Connector struct {
	client  *oci.Client
	store   Registries
	keyring *secret.Keyring
	options Options

	mu     sync.Mutex
	open   map[string]*opened
	served map[string]bool // registries something was pulled from
}

type opened struct {
	registry   time.Time // when the declaration was last changed
	credential time.Time
	source     *Source
}

// maxOpen bounds how many registries are kept open at once.
const maxOpen = 2000

// New returns a Connector with default Options.
func New(client *oci.Client, store Registries, keyring *secret.Keyring) *Connector {
	return NewWithOptions(client, store, keyring, Options{})
}

// NewWithOptions returns a Connector. store and keyring may be nil when Open is not used.
func NewWithOptions(client *oci.Client, store Registries, keyring *secret.Keyring, o Options) *Connector {
	if o.TokenFiles == "" {
		o.TokenFiles = "/var/run/secrets"
	}
	return &Connector{client: client, store: store, keyring: keyring, options: o, open: map[string]*opened{}, served: map[string]bool{}}
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
	source, err := c.Connect(r, cred, plain, nil)
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

// Connect prepares a registry, declared or not, without asking it anything. cred is nil for anonymous use, trace records
// the requests when it is not nil. It returns ErrInvalid for what cannot go together, and ErrUnsupported for a kind that
// is not known.
func (c *Connector) Connect(r *tidewaiter.Registry, cred *tidewaiter.Credential, plain secret.Value, trace *oci.Trace) (*Source, error) {
	conn, err := c.prepare(r, cred, plain, trace)
	if err != nil {
		return nil, err
	}
	registry, err := c.client.Registry(conn.endpoint)
	if err != nil {
		return nil, err
	}
	s := newSource(registry, conn)
	s.refusals.now, s.refusals.anonymous = c.client.Now, cred == nil
	return s, nil
}

func (c *Connector) prepare(r *tidewaiter.Registry, cred *tidewaiter.Credential, plain secret.Value, trace *oci.Trace) (*connection, error) {
	k, ok := kindOf(r.Kind)
	if !ok {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "there is no registry kind %q", r.Kind)
	}
	if cred != nil && !takes(k.Capabilities, cred) {
		return nil, wrongCredential(k.Capabilities, cred.Kind)
	}
	conn, err := k.open(&opening{Connector: c, registry: r, credential: cred, secret: plain, trace: trace})
	if err != nil {
		return nil, err
	}
	conn.endpoint.Trace, conn.endpoint.TLS = trace, r.TLS
	if cred != nil {
		conn.endpoint.CredentialKey = cred.ID
	}
	return conn, nil
}

// Probe asks a registry, declared or not, step by step whether it lets us in.
func (c *Connector) Probe(ctx context.Context, r *tidewaiter.Registry, cred *tidewaiter.Credential, plain secret.Value) []oci.Step {
	conn, err := c.prepare(r, cred, plain, nil)
	if err != nil {
		return []oci.Step{oci.FailedStep("credential", err)}
	}
	registry, err := c.client.Registry(conn.endpoint)
	if err != nil {
		return []oci.Step{oci.FailedStep("resolve", err)}
	}
	hint := ""
	if names, ok := r.Scope.Named(); ok {
		hint = names[0]
	}
	source := newSource(registry, conn)
	return c.client.ProbeNames(ctx, conn.endpoint, hint, oci.Names{Repositories: source.Repositories, Tags: source.tagNames})
}
