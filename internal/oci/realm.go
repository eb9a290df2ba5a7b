package oci

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"golang.org/x/net/publicsuffix"
)

// realmPolicy decides which token servers get the registry's credential. Anonymous requests may go to any realm the
// guard lets through: there is nothing to lose.
type realmPolicy struct {
	registry *url.URL
	trusted  []*url.URL // scheme "" means https
}

func newRealmPolicy(registry *url.URL, trusted []string) (realmPolicy, error) {
	p := realmPolicy{registry: registry}
	for _, s := range trusted {
		raw := s
		if !strings.Contains(raw, "://") {
			raw = "https://" + raw
		}
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return p, tidewaiter.Invalid("trustRealms", "%q is not a token server", clip(plainText(s), 200)).
				WithFix("write it as host, host:port or http://host:port")
		}
		p.trusted = append(p.trusted, u)
	}
	return p, nil
}

// parseRealm reads a realm from a challenge.
func parseRealm(s string) (*url.URL, *tidewaiter.Error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || len(s) > 2048 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the registry names a token server that is no URL: %q", clip(plainText(s), 200))
	}
	u.Fragment = ""
	return u, nil
}

// mayReceive returns nil when the realm may be given the credential, else an ErrAuth that says how to allow it.
func (p realmPolicy) mayReceive(realm *url.URL) error {
	for _, t := range p.trusted {
		if t.Scheme == realm.Scheme && strings.EqualFold(t.Hostname(), realm.Hostname()) && (t.Port() == "" || portOf(t) == portOf(realm)) {
			return nil
		}
	}
	host, own := strings.ToLower(realm.Hostname()), strings.ToLower(p.registry.Hostname())
	if realm.Scheme != "https" && p.registry.Scheme == "https" {
		return tidewaiter.Errorf(tidewaiter.ErrAuth, "the registry wants the credential sent to %s without TLS", realm.Host).
			WithFix("make the registry's token realm an https URL, or trust http://%s as token server", realm.Host)
	}
	if host == own || realm.Scheme == "https" && (sameOwner(host, own) || knownRealm(own, host)) {
		return nil
	}
	return tidewaiter.Errorf(tidewaiter.ErrAuth, "the registry wants the credential sent to %s, which has nothing in common with %s", realm.Host, p.registry.Host).
		WithFix("if that is its token server, add %s to the registry's trusted token servers", realm.Host)
}

// sameOwner reports whether two names share the domain somebody registered: registry.example.com and auth.example.com
// do, a.github.io and b.github.io do not.
func sameOwner(a, b string) bool {
	if isAddr(a) || isAddr(b) {
		return false
	}
	da, errA := publicsuffix.EffectiveTLDPlusOne(a)
	db, errB := publicsuffix.EffectiveTLDPlusOne(b)
	return errA == nil && errB == nil && da == db
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// knownRealm holds the pairs under different domains that are known to belong together.
func knownRealm(registry, realm string) bool {
	return realm == "auth.docker.io" && tidewaiter.IsDockerHub(registry)
}

// portOf returns the port, the scheme's own when none is written.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// sameOrigin reports whether two URLs have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}
