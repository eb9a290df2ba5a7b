package oci

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Network is what lies below HTTP between here and a registry.
type Network struct {
	Proxy     string    `json:"proxy,omitempty"` // host of the HTTP proxy; name, addresses and certificate are not looked at behind one
	Addresses []Address `json:"addresses,omitempty"`
	TLS       *Session  `json:"tls,omitempty"`   // nil without TLS, or where no address accepts a connection
	Error     string    `json:"error,omitempty"` // why the name leads nowhere
}

// Address is one address a name leads to.
type Address struct {
	Address  string        `json:"address"`
	Family   string        `json:"family"` // IPv4 or IPv6
	Connects bool          `json:"connects"`
	Took     time.Duration `json:"took,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// Session is a TLS session and the certificates shown for it.
type Session struct {
	Version string        `json:"version"`
	Chain   []Certificate `json:"chain"`
	Trusted bool          `json:"trusted"`
	Error   string        `json:"error,omitempty"` // why it is not
}

// Certificate is one certificate of a chain, the server's own first.
type Certificate struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Names    string    `json:"names,omitempty"`
	NotAfter time.Time `json:"notAfter"`
	SelfMade bool      `json:"selfMade,omitempty"` // signed by itself
}

const (
	maxAddresses    = 8
	maxCertificates = 8
)

// Examine looks up the addresses of an endpoint, connects to each, and looks at the certificates shown, trusted or not. It
// sends no request and no credential. Errors are of addresses and certificates that cannot be used at all.
func (c *Client) Examine(ctx context.Context, e Endpoint) (Network, error) {
	base, err := c.parseBase(e.URL)
	if err != nil {
		return Network{}, err
	}
	config, err := tlsConfig(e.TLS)
	if err != nil {
		return Network{}, err
	}
	var n Network
	proxy, err := c.opts.Proxy(&http.Request{Method: http.MethodGet, URL: base, Host: base.Host})
	if err == nil && proxy != nil {
		n.Proxy = proxy.Host
		return n, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*dialTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", base.Hostname())
	if err != nil {
		n.Error = plainText(netError(err, base.Hostname()).Error())
		return n, nil
	}
	slices.SortFunc(found, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(a.BitLen(), b.BitLen()), a.Compare(b)) })
	for _, addr := range slices.Compact(found[:min(len(found), maxAddresses)]) {
		a, session := c.connect(ctx, addr.Unmap(), portOf(base), base.Hostname(), base.Scheme == "https" && n.TLS == nil, config)
		n.Addresses = append(n.Addresses, a)
		if session != nil {
			n.TLS = session
		}
	}
	return n, nil
}

func (c *Client) connect(ctx context.Context, addr netip.Addr, port, host string, secure bool, config *tls.Config) (Address, *Session) {
	a := Address{Address: addr.String(), Family: "IPv6"}
	if addr.Is4() {
		a.Family = "IPv4"
	}
	start := c.opts.Now()
	conn, err := c.dialer().DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))
	a.Took = c.opts.Now().Sub(start)
	if err != nil {
		a.Error = plainText(netError(err, host).Error())
		return a, nil
	}
	defer conn.Close()
	a.Connects = true
	if !secure {
		return a, nil
	}
	return a, c.session(ctx, conn, host, config)
}

// session shakes hands without trusting anything, and then says what trust would have made of it.
func (c *Client) session(ctx context.Context, conn net.Conn, host string, trust *tls.Config) *Session {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secure := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // to look, not to speak; weak versions are to be seen too
	if err := secure.HandshakeContext(ctx); err != nil {
		return &Session{Error: plainText(netError(err, host).Error())}
	}
	state := secure.ConnectionState()
	s := &Session{Version: tls.VersionName(state.Version)}
	pool := x509.NewCertPool()
	for i, cert := range state.PeerCertificates {
		if i > 0 {
			pool.AddCert(cert)
		}
		if i < maxCertificates {
			s.Chain = append(s.Chain, certificateOf(cert))
		}
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: host, Roots: trust.RootCAs, Intermediates: pool, CurrentTime: c.opts.Now(),
	})
	if s.Trusted = err == nil; err != nil {
		s.Error = plainText(netError(&tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}, host).Error())
	}
	return s
}

func certificateOf(c *x509.Certificate) Certificate {
	return Certificate{
		Subject: clip(plainText(c.Subject.String()), 200), Issuer: clip(plainText(c.Issuer.String()), 200), Names: certNames(c),
		NotAfter: c.NotAfter.UTC(), SelfMade: c.Subject.String() == c.Issuer.String(),
	}
}

// Challenge is one way to log in that a server offers.
type Challenge struct {
	Scheme  string `json:"scheme"`
	Realm   string `json:"realm,omitempty"`
	Service string `json:"service,omitempty"`
}

// Challenges reads the WWW-Authenticate headers of an answer. Texts are cleaned and at most 300 bytes long.
func Challenges(h http.Header) []Challenge {
	var out []Challenge
	for _, c := range parseChallenges(h.Values("WWW-Authenticate")) {
		out = append(out, Challenge{
			Scheme: clip(plainText(c.scheme), 32), Realm: clip(plainText(c.params["realm"]), 300), Service: clip(plainText(c.params["service"]), 300),
		})
	}
	return out
}

// Rate is what an answer says of its server's limit on requests.
type Rate struct {
	Limit      int64         `json:"limit"`     // -1 when unknown
	Remaining  int64         `json:"remaining"` // likewise
	Window     time.Duration `json:"window,omitempty"`
	Reset      time.Duration `json:"reset,omitempty"`
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
}

// RateOf reads the limit an answer tells; ok is false where it tells nothing.
func RateOf(h http.Header, now time.Time) (r Rate, ok bool) {
	a := rateHeaders(h, now)
	r = Rate{Limit: a.limit, Remaining: a.left, Window: a.window, Reset: a.reset}
	d, named := retryAfter(h, now)
	r.RetryAfter = d
	return r, named || a.limit >= 0 || a.left >= 0
}

// TokenLife returns how long the last token lived that was fetched for this registry, and which host gave it. ok is false
// while there was none.
func (r *Registry) TokenLife() (life time.Duration, from string, ok bool) {
	r.auth.mu.Lock()
	defer r.auth.mu.Unlock()
	return r.auth.life, r.auth.lifeFrom, r.auth.lifeFrom != ""
}
