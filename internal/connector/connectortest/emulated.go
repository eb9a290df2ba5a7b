package connectortest

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Emulated is a subject in the emulator.
type Emulated struct {
	Subject
	Emulator *emulator.Emulator
	Other    emulator.Login // as good a login as the emulator's own, and wrong here
}

// replaceable leaves out the addresses that no setting replaces: they follow from the registry's own, or are asked by the
// vendors' libraries alone.
func replaceable(endpoints map[string]string) map[string]string {
	maps.DeleteFunc(endpoints, func(name, address string) bool {
		return connector.CheckEndpoints(map[string]string{name: address}) != nil
	})
	return endpoints
}

// Network is a way to the emulator by the name it was given, to its token service beside that, and to everything else on this machine.
func (s *Emulated) Network(t *testing.T) http.RoundTripper {
	t.Helper()
	transport, _ := s.network(t, nil).(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		switch host, _, _ := net.SplitHostPort(address); {
		case "https://"+host == s.Emulator.URL:
			address = s.Emulator.Address
		case strings.HasPrefix(host, "auth."):
			address = strings.TrimPrefix(s.Emulator.API, "https://")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return transport
}

// Emulate starts an emulator of a kind, over TLS, and declares it with what gets in.
func Emulate(t *testing.T, kind tidewaiter.RegistryKind, o emulator.Options) *Emulated {
	t.Helper()
	clock := &Clock{}
	o.Kind, o.TLS, o.Now = emulator.Kind(kind), true, clock.Now
	e, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	r, c, plain := Declared(kind, e)
	other, err := emulator.New(o) // whose secrets are as good, and wrong here
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	wrong := other.Login()
	wrong.ServiceAccountJSON = bytes.ReplaceAll(wrong.ServiceAccountJSON, []byte(other.API), []byte(e.API))
	_, _, refused := DeclaredAs(kind, e, wrong)
	return &Emulated{Emulator: e, Other: wrong, Subject: Subject{
		Registry: r, Credential: c, Secret: plain,
		Wrong:        refused,
		Options:      connector.Options{Endpoints: replaceable(e.Endpoints())},
		Repositories: e.Repositories(), Tags: e.Tags, Digest: e.Digest, Clock: clock,
	}}
}

// Inject makes a fault happen from now on; it ends with Heal.
func (s *Emulated) inject(t *testing.T, f emulator.Fault) {
	t.Helper()
	if err := s.Emulator.Inject(f); err != nil {
		t.Fatal(err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
