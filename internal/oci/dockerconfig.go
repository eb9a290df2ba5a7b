package oci

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// DockerConfig takes credentials from a Docker configuration file, so that whoever has logged in with docker, podman or
// oras need not again: auths (base64 auth and identity tokens), credHelpers and credsStore. path "" is
// $DOCKER_CONFIG/config.json, else ~/.docker/config.json; a file that does not exist holds no credentials. It runs the
// helper programs the file names, so it is for a user's own command line, not for a server. It returns ErrInvalid for a
// file that cannot be read; a helper that fails is an ErrAuth when the credential is asked for.
func DockerConfig(path string) (Auth, error) {
	var store *credentials.DynamicStore
	var err error
	if path == "" {
		store, err = credentials.NewStoreFromDocker(credentials.StoreOptions{})
	} else {
		store, err = credentials.NewStore(path, credentials.StoreOptions{})
	}
	if err != nil {
		return nil, tidewaiter.Invalid("dockerConfig", "the Docker configuration cannot be read: %s", clip(plainText(err.Error()), 300))
	}
	lookup := credentials.Credential(store)
	var mu sync.Mutex
	known := map[string]Credential{} // helper programs are not run for every request
	return func(ctx context.Context, host string) (Credential, error) {
		mu.Lock()
		defer mu.Unlock()
		if c, ok := known[host]; ok {
			return c, nil
		}
		address := host
		if tidewaiter.IsDockerHub(host) {
			address = "registry-1.docker.io" // what the lookup turns into the key docker login writes
		}
		c, err := lookup(ctx, address)
		if err != nil {
			return Credential{}, tidewaiter.Errorf(tidewaiter.ErrAuth, "the Docker configuration gives no credential for %s: %s", host, clip(plainText(err.Error()), 300)).
				WithFix("log in again with docker login %s", host)
		}
		known[host] = fromORAS(c)
		return known[host], nil
	}, nil
}

func fromORAS(c auth.Credential) Credential {
	if c.RefreshToken != "" {
		return Credential{IdentityToken: c.RefreshToken}
	}
	return Credential{Username: c.Username, Password: c.Password, AccessToken: c.AccessToken}
}
