// Package connectortest tries connectors: one suite for all kinds of registries, run against the emulator, and the parts of
// it that fit against real ones. It is for tests only.
package connectortest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Subject is a registry to try a connector on, and what is known to be in it.
type Subject struct {
	Registry   *tidewaiter.Registry
	Credential *tidewaiter.Credential // nil is anonymous
	Secret     secret.Value
	Wrong      secret.Value // gets nobody in; zero where there is none
	Options    connector.Options

	Repositories []string
	Tags         func(repository string) int         // how many there are
	Digest       func(repository, tag string) string // where a tag points
	Clock        *Clock                              // the registry's, nil for the real one
}

// Clock is the real time, moved.
type Clock struct{ offset atomic.Int64 }

// Now tells the time.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	return time.Now().Add(time.Duration(c.offset.Load()))
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// Client makes a registry client that may reach this machine; transport replaces the network when it is not nil.
func (s *Subject) Client(t testing.TB, transport http.RoundTripper) *oci.Client {
	t.Helper()
	client := oci.New(oci.Options{AllowLoopback: true, Transport: transport, Now: s.Clock.Now, Backoff: time.Millisecond,
		Budget: oci.NewBudget(oci.Limits{Concurrent: 16, PerSecond: -1}, s.Clock.Now)})
	t.Cleanup(client.Close)
	return client
}

// Open connects to the registry as another process would: with nothing kept from before.
func (s *Subject) Open(t testing.TB) *connector.Source {
	t.Helper()
	return s.OpenWith(t, s.Client(t, nil), s.Secret)
}

// OpenWith connects by a client with a secret.
func (s *Subject) OpenWith(t testing.TB, client *oci.Client, plain secret.Value) *connector.Source {
	t.Helper()
	source, err := connector.NewWithOptions(client, nil, nil, s.Options).Connect(s.Registry, s.Credential, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// network is a transport that trusts the registry's certificate, or any, where config is given.
func (s *Subject) network(t testing.TB, config *tls.Config) http.RoundTripper {
	if config == nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(s.Registry.TLS.CACert))
		config = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 16, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
