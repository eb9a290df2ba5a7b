package connector

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// opening is what a kind is given to prepare one registry.
type opening struct {
	*Connector

	registry   *tidewaiter.Registry
	credential *tidewaiter.Credential // nil is anonymous
	secret     secret.Value
	trace      *oci.Trace
}

// setting returns a setting of the registry, else of its credential.
func (o *opening) setting(key string) string {
	if v := strings.TrimSpace(o.registry.Settings[key]); v != "" {
		return v
	}
	if o.credential != nil {
		return strings.TrimSpace(o.credential.Settings[key])
	}
	return ""
}

// settings returns a setting that is a list with commas.
func (o *opening) settings(key string) []string {
	var out []string
	for part := range strings.SplitSeq(o.setting(key), ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out
}

// kind returns the credential's kind, "" for none.
func (o *opening) kind() tidewaiter.CredentialKind {
	if o.credential == nil {
		return ""
	}
	return o.credential.Kind
}

func (o *opening) username() string {
	if o.credential == nil {
		return ""
	}
	return o.credential.Username
}

// base returns the base URL of a vendor's API: the one that replaces it, else usual.
func (o *opening) base(key, usual string) string {
	if u := o.options.Endpoints[key]; u != "" {
		return u
	}
	return usual
}

func (o *opening) replaced(key string) bool { return o.options.Endpoints[key] != "" }

// host returns the registry's host[:port] and its scheme.
func (o *opening) address() *url.URL {
	u, err := url.Parse(o.registry.URL)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// root is the registry's address without a path.
func (o *opening) root() string {
	u := o.address()
	return u.Scheme + "://" + u.Host
}

// api makes a client for an API. own says that it belongs to the registry itself, so that the registry's leave not to
// verify certificates counts for it too; a CA certificate counts for all.
func (o *opening) api(base string, own bool) (*api, error) {
	return o.wrappedAPI(base, own, nil)
}

func (o *opening) wrappedAPI(base string, own bool, wrap func(http.RoundTripper) http.RoundTripper) (*api, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" {
		return nil, tidewaiter.Invalid("settings", "%q is not the address of an API", oci.CleanText(base, 200)).WithFix("write it as https://host")
	}
	e := oci.Endpoint{TLS: o.registry.TLS, Trace: o.trace, Wrap: wrap}
	if !own {
		e.TLS.SkipVerify = false
	}
	if o.credential != nil {
		e.CredentialKey = o.credential.ID
	}
	client, err := o.client.HTTP(e)
	if err != nil {
		return nil, err
	}
	return &api{base: u, client: client, now: o.client.Now}, nil
}

// endpoint is where the distribution API is, with a way to log in; nil is anonymous.
func (o *opening) endpoint(auth oci.Auth) oci.Endpoint {
	if auth == nil {
		auth = o.options.Anonymous
	}
	return oci.Endpoint{URL: o.registry.URL, Auth: auth}
}

// login is how most registries take a credential: a user name with password or token, or a token alone as a bearer.
func (o *opening) login() oci.Auth {
	switch {
	case o.credential == nil:
		return nil
	case o.credential.Username != "":
		return oci.Basic(o.credential.Username, o.secret.Reveal())
	}
	return oci.Bearer(o.secret.Reveal())
}

// loginAs is login for registries that want some user name with every token.
func (o *opening) loginAs(username string) oci.Auth {
	if o.credential == nil {
		return nil
	}
	if o.credential.Username != "" {
		username = o.credential.Username
	}
	return oci.Basic(username, o.secret.Reveal())
}

// authorize sends the credential to an API as login does to the registry.
func (o *opening) authorize(a *api) {
	plain := o.secret.Reveal()
	switch {
	case o.credential == nil:
	case o.credential.Username != "":
		a.basic(o.credential.Username, plain)
	default:
		a.bearer(plain)
	}
}

// takes reports whether a kind can log in with a credential. Whatever has a user name and a secret is as good as basic.
func takes(c Capabilities, cred *tidewaiter.Credential) bool {
	plain := cred.Username != "" && slices.Contains([]tidewaiter.CredentialKind{
		tidewaiter.CredentialBasic, tidewaiter.CredentialToken, tidewaiter.CredentialDTR, tidewaiter.CredentialGitLab,
	}, cred.Kind)
	return slices.ContainsFunc(c.Credentials, func(f CredentialForm) bool {
		return f.Kind == cred.Kind || plain && f.Kind == tidewaiter.CredentialBasic
	})
}

func wrongCredential(c Capabilities, of tidewaiter.CredentialKind) error {
	var names []string
	for _, f := range c.Credentials {
		if !slices.Contains(names, string(f.Kind)) {
			names = append(names, string(f.Kind))
		}
	}
	return tidewaiter.Invalid("credentialID", "a credential of kind %s cannot log in to a registry of kind %s", of, c.Kind).
		WithFix("use a credential of kind %s", strings.Join(names, ", "))
}

// nameRepositories says that a registry cannot be listed as it is declared.
func nameRepositories(why, fix string) error {
	return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s", why).WithFix("%s, or name the repositories to look at", fix)
}
