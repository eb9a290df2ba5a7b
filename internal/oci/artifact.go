package oci

import (
	"context"
	"io"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Artifacts reads artifacts by their full reference, host and all, with one credential for all hosts.
type Artifacts struct {
	client    *Client
	auth      Auth
	plainHTTP bool

	mu    sync.Mutex
	hosts map[string]*Registry
}

// NewArtifacts returns Artifacts. With plainHTTP hosts are asked without TLS.
func NewArtifacts(client *Client, auth Auth, plainHTTP bool) *Artifacts {
	return &Artifacts{client: client, auth: auth, plainHTTP: plainHTTP, hosts: map[string]*Registry{}}
}

// Manifest returns the manifest a reference leads to.
func (a *Artifacts) Manifest(ctx context.Context, reference string) (*tidewaiter.Manifest, error) {
	r, ref, err := a.open(reference)
	if err != nil {
		return nil, err
	}
	m, _, err := r.Manifest(ctx, ref.Repository, ref.Identifier())
	return m, err
}

// Blob streams a blob of the reference's repository, verified at its end.
func (a *Artifacts) Blob(ctx context.Context, reference string, d tidewaiter.Descriptor) (io.ReadCloser, error) {
	r, ref, err := a.open(reference)
	if err != nil {
		return nil, err
	}
	return r.Blob(ctx, ref.Repository, d)
}

func (a *Artifacts) open(reference string) (*Registry, Reference, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, ref, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.hosts[ref.Host]; r != nil {
		return r, ref, nil
	}
	r, err := a.client.Registry(Endpoint{URL: ref.URL(a.plainHTTP), Auth: a.auth})
	if err == nil {
		a.hosts[ref.Host] = r
	}
	return r, ref, err
}
