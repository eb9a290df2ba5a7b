package prisma

import (
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ParseSpecification lets tests read a specification without a console.
func ParseSpecification(b []byte) (*tidewaiter.Registry, error) {
	return parseSpecification(b, 24*time.Hour)
}

// ParseQuery lets tests read query parameters without a console.
func ParseQuery(raw string) (f control.ResultFilter, offset, limit int, err error) {
	q := queryOf(&url.URL{RawQuery: raw})
	p, err := q.page()
	return filterOf(q), p.offset, p.limit, err
}

// Routes lists the route table as "METHOD /path".
func Routes() []string {
	var out []string
	for _, r := range new(server).routes() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}

// The tables of types and kinds, for the tests.
var (
	KindOf    = kindOf
	VersionOf = versionOf
)

// Versions lists the registry types, each once.
func Versions() []string {
	var out []string
	for _, v := range versions {
		if !slices.Contains(out, v.version) {
			out = append(out, v.version)
		}
	}
	return out
}

// CredentialTypes lists the credential types with their kinds.
func CredentialTypes() map[string]tidewaiter.CredentialKind {
	out := map[string]tidewaiter.CredentialKind{}
	for _, t := range credentialTypes {
		out[t.name] = t.kind
	}
	return out
}

// CredentialThere reads a credential as it is sent, and CredentialBack writes it as it is shown.
func CredentialThere(b []byte) (*tidewaiter.Credential, string, error) {
	var c sentCredential
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, "", err
	}
	cred, plain, err := c.domain()
	if err != nil || plain == nil {
		return cred, "", err
	}
	return cred, plain.Reveal(), nil
}

// CredentialBack shows a credential.
func CredentialBack(c *tidewaiter.Credential) ([]byte, error) {
	shown, err := shownCredential(c)
	if err != nil {
		return nil, err
	}
	return json.Marshal(shown)
}
