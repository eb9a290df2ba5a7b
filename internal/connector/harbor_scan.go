package connector

import (
	"encoding/json"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// OpenHarborScan returns the registry a Harbor asked to have an image of scanned, with the login it lent for that. Nothing
// of it is kept: each call opens the sealed login anew, and fails with ErrAuth once the scan has ended. declared are the
// registries declared for the same host; what the first of them says of the certificate counts, else what Harbor says.
func (c *Connector) OpenHarborScan(s *store.HarborScan, declared []*tidewaiter.Registry) (*Source, error) {
	if s.State != store.HarborWaiting {
		return nil, tidewaiter.Errorf(tidewaiter.ErrAuth, "the scan has ended, and with it the login Harbor lent for it")
	}
	r := &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: s.URL, TLS: tidewaiter.TLS{SkipVerify: s.Insecure}}
	if len(declared) > 0 {
		r.TLS = declared[0].TLS
	}
	cred := &tidewaiter.Credential{ID: s.ID, Kind: tidewaiter.CredentialToken, Sealed: s.Sealed}
	plain, err := c.reveal(cred)
	if err != nil {
		return nil, err
	}
	if plain.IsZero() {
		return c.Connect(r, nil, plain, nil)
	}
	var login store.HarborLogin
	if json.Unmarshal([]byte(plain.Reveal()), &login) != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the stored login cannot be read")
	}
	if cred.Username = login.Username; cred.Username != "" {
		cred.Kind = tidewaiter.CredentialBasic
	}
	cred.ID = "harbor" // all scans of a Harbor share what its host allows
	return c.Connect(r, cred, secret.New(login.Secret), nil)
}
