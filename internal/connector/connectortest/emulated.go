package connectortest

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Emulated is a subject in the emulator.
type Emulated struct {
	Subject
	Emulator *emulator.Emulator
}

// ibmAccount is the account the emulator is in.
const ibmAccount = "emulatedaccount0123456789abcdef0"

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
	s := &Emulated{Emulator: e, Subject: Subject{
		Registry: &tidewaiter.Registry{
			ID: "r1", Kind: kind, URL: e.URL, TLS: tidewaiter.TLS{CACert: string(e.CA())}, Settings: map[string]string{},
		},
		Credential:   &tidewaiter.Credential{ID: "c1", Settings: map[string]string{}},
		Options:      connector.Options{Endpoints: e.Endpoints()},
		Repositories: e.Repositories(), Tags: e.Tags, Digest: e.Digest, Clock: clock,
	}}
	s.Wrong = s.credential(t, e.Login())
	other, err := emulator.New(o) // whose secrets are as good, and wrong here
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.Secret = s.Wrong
	s.Wrong = secret.New(string(bytes.ReplaceAll([]byte(s.credential(t, other.Login()).Reveal()), []byte(other.API), []byte(e.API))))
	s.credential(t, e.Login())
	return s
}

// credential declares a login and returns its secret.
func (s *Emulated) credential(t *testing.T, l emulator.Login) secret.Value {
	t.Helper()
	c, settings := s.Credential, s.Registry.Settings
	c.Kind, c.Username = tidewaiter.CredentialBasic, l.Username
	organization := "acme"
	switch s.Registry.Kind {
	case tidewaiter.KindOCI, tidewaiter.KindHarbor:
	case tidewaiter.KindDTR:
		c.Kind = tidewaiter.CredentialDTR
	case tidewaiter.KindDockerHub:
		settings["organization"] = organization
	case tidewaiter.KindECR:
		c.Kind, c.Username = tidewaiter.CredentialAWS, l.AccessKeyID
		settings["region"], settings["accountId"] = l.Region, l.Account
		return secret.New(l.SecretAccessKey)
	case tidewaiter.KindACR:
		c.Kind, c.Settings["tenantId"], c.Settings["clientId"] = tidewaiter.CredentialAzure, l.TenantID, l.ClientID
		return secret.New(l.ClientSecret)
	case tidewaiter.KindGAR:
		c.Kind, c.Username = tidewaiter.CredentialGCP, ""
		return secret.New(string(l.ServiceAccountJSON))
	case tidewaiter.KindArtifactory:
		c.Kind, c.Username = tidewaiter.CredentialToken, ""
		return secret.New(l.Token)
	case tidewaiter.KindQuay:
		c.Kind, c.Username = tidewaiter.CredentialBasic, l.Username
		settings["organization"] = organization
		return secret.New(`{"docker_cli_password":"` + l.Password + `","oauth2_token":"` + l.Token + `"}`)
	case tidewaiter.KindNexus:
		s.Registry.URL = s.Emulator.API + "/repository/docker-hosted"
	case tidewaiter.KindGitLab:
		c.Kind, c.Username = tidewaiter.CredentialGitLab, ""
		settings["groupIDs"] = organization
		return secret.New(l.Token)
	case tidewaiter.KindGHCR:
		c.Kind, c.Username = tidewaiter.CredentialToken, ""
		settings["organization"] = organization
		return secret.New(l.Token)
	case tidewaiter.KindOpenShift:
		c.Kind, c.Username = tidewaiter.CredentialToken, ""
		return secret.New(l.Token)
	case tidewaiter.KindIBM:
		c.Kind, c.Username, c.Settings["accountGUID"] = tidewaiter.CredentialIBM, "", ibmAccount
		return secret.New(l.Token)
	case tidewaiter.KindOCIR:
		c.Kind, c.Username = tidewaiter.CredentialOCI, l.UserOCID
		c.Settings["tenancyId"], c.Settings["fingerprint"] = l.TenancyOCID, l.Fingerprint
		return secret.New(string(l.PrivateKey))
	default:
		t.Fatalf("no login for %s", s.Registry.Kind)
	}
	return secret.New(l.Password)
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
