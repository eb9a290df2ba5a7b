package oci

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	defaultTimeout = 60 * time.Second
	defaultBackoff = 250 * time.Millisecond
	dialTimeout    = 10 * time.Second
	maxPools       = 64 // connection pools, one for each TLS setting in use
)

// Options configures a Client. The zero value is usable.
type Options struct {
	// AllowLoopback lets the client dial 127.0.0.0/8 and ::1. Link-local, metadata, multicast and unspecified addresses
	// are refused always; private ranges are allowed always, since registries live there. Behind an HTTP proxy only
	// literal addresses can be judged: the proxy resolves the names. A proxy on this machine is a loopback address too.
	AllowLoopback bool

	// Budget is shared by everything that talks to registries in this process; nil makes one with default limits.
	Budget *Budget

	// UserAgent is sent with every request; "" is "tidewaiter".
	UserAgent string

	// Timeout bounds the wait for the headers of an answer and for each next piece of its body; 0 is 60 s. Listings may
	// take four times as long to begin: on object storage a registry walks its whole tree first.
	Timeout time.Duration

	// Backoff is the wait before the first retry of a transient failure, doubled each time; 0 is 250 ms.
	Backoff time.Duration

	// Observe, when set, is shown every answer before its body is read; it must neither change it nor keep its request, whose
	// headers hold credentials.
	Observe func(*http.Response)

	// Now and Jitter (in [0,1)) are replaced in tests; nil means the real ones.
	Now    func() time.Time
	Jitter func() float64

	// Proxy chooses the HTTP proxy of a request; nil reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
	Proxy func(*http.Request) (*url.URL, error)

	// Transport replaces the network in tests; Endpoint.TLS and the dial guard's look at resolved addresses do not apply then.
	Transport http.RoundTripper
}

// Client makes requests to registries. It is safe for concurrent use and holds the connection pools.
type Client struct {
	opts  Options
	guard guard

	mu    sync.Mutex
	pools map[poolKey]*http.Transport
}

type poolKey struct {
	ca         [sha256.Size]byte
	skipVerify bool
}

// New makes a Client.
func New(o Options) *Client {
	o.UserAgent = cmp.Or(o.UserAgent, "tidewaiter")
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.Backoff = cmp.Or(o.Backoff, defaultBackoff)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Budget == nil {
		o.Budget = NewBudget(Limits{}, o.Now)
	}
	return &Client{opts: o, guard: guard{allowLoopback: o.AllowLoopback}, pools: map[poolKey]*http.Transport{}}
}

// Close drops idle connections. The client stays usable.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, t := range c.pools {
		t.CloseIdleConnections()
		delete(c.pools, key)
	}
}

// Endpoint is one registry with one credential.
type Endpoint struct {
	// URL is scheme and host, perhaps with the path the v2 API hangs under ("https://host/artifactory/api/docker/key").
	URL string

	// Auth gives the credential; nil is anonymous. It is asked again when a credential is refused, so it may rotate.
	Auth Auth

	// CredentialKey names the credential in the budget, never its secret: requests with the same host and key share
	// limits and pauses.
	CredentialKey string

	// TLS applies to every connection made for this registry, including token server and blob storage.
	TLS tidewaiter.TLS

	// TrustRealms are token servers that may be given the credential although no rule says so: "auth.example.net",
	// "auth.example.net:8443", or "http://…" for one without TLS. Without it a realm gets the credential when it is https
	// (or the registry itself is plain http) and has the registry's host name on any port, shares its registrable
	// domain, or is known to belong to it (Docker Hub's auth.docker.io).
	TrustRealms []string

	// Trace, when set, records each request.
	Trace *Trace

	// Refused, when set, is called when the registry refuses a credential that was sent, before Auth is asked again: a
	// function that keeps one may then get a new one.
	Refused func()

	// Wrap, when set, goes around the network, below budget and retry: it can put an answer that asks for fewer requests
	// in a vendor's own way into the usual one.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Registry is one endpoint, ready to be asked. It is safe for concurrent use and keeps the tokens it obtained.
type Registry struct {
	base  *url.URL // without /v2 and without a trailing slash
	auth  *authorizer
	meta  *http.Client // metadata: follows redirects, never from https to http
	blobs *http.Client // content verified by digest: may be redirected to plain http
	opts  *Options
	trace *Trace
}

// Registry prepares an endpoint without asking it anything. It returns ErrInvalid for a URL, certificate or trusted realm
// that cannot be used, and ErrDenied for an address the guard refuses.
func (c *Client) Registry(e Endpoint) (*Registry, error) {
	base, err := c.parseBase(e.URL)
	if err != nil {
		return nil, err
	}
	rt, err := c.roundTripper(e)
	if err != nil {
		return nil, err
	}
	auth, err := newAuthorizer(base, e, rt, &c.opts)
	if err != nil {
		return nil, err
	}
	return &Registry{
		base:  base,
		auth:  auth,
		meta:  &http.Client{Transport: rt, CheckRedirect: redirectPolicy(false)},
		blobs: &http.Client{Transport: rt, CheckRedirect: redirectPolicy(true)},
		opts:  &c.opts,
		trace: e.Trace,
	}, nil
}

// roundTripper stacks what every request of an endpoint passes below its authorization.
func (c *Client) roundTripper(e Endpoint) (http.RoundTripper, error) {
	pool, err := c.transport(e.TLS)
	if err != nil {
		return nil, err
	}
	if e.Wrap != nil {
		pool = e.Wrap(pool)
	}
	metered := &meter{next: pool, guard: c.guard, budget: c.opts.Budget, credential: e.CredentialKey, trace: e.Trace, opts: &c.opts}
	return &retry{next: metered, opts: &c.opts}, nil
}

// Host returns the host[:port] that the registry's image names begin with.
func (r *Registry) Host() string { return tidewaiter.HostOf(r.base.String()) }

func (c *Client) parseBase(raw string) (*url.URL, error) {
	s, err := tidewaiter.ParseRegistryURL(raw)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(s)
	if err != nil {
		return nil, tidewaiter.Invalid("url", "not a valid registry address")
	}
	base.Path = strings.TrimSuffix(strings.TrimRight(base.Path, "/"), "/v2")
	base.RawPath = ""
	return base, c.guard.checkHost(base.Hostname())
}

// transport returns the connection pool for a TLS setting.
func (c *Client) transport(t tidewaiter.TLS) (http.RoundTripper, error) {
	if c.opts.Transport != nil {
		return c.opts.Transport, nil
	}
	config, err := tlsConfig(t)
	if err != nil {
		return nil, err
	}
	key := poolKey{ca: sha256.Sum256([]byte(t.CACert)), skipVerify: t.SkipVerify}
	c.mu.Lock()
	defer c.mu.Unlock()
	if pool, ok := c.pools[key]; ok {
		return pool, nil
	}
	if len(c.pools) >= maxPools {
		for old, pool := range c.pools {
			pool.CloseIdleConnections()
			delete(c.pools, old)
			break
		}
	}
	pool := &http.Transport{
		Proxy:                  c.opts.Proxy,
		DialContext:            c.dialer().DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // digests are of the bytes on the wire
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
	c.pools[key] = pool
	return pool, nil
}

func (c *Client) dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, ControlContext: c.guard.control}
}

func tlsConfig(t tidewaiter.TLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.SkipVerify}
	if t.CACert == "" {
		return config, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM([]byte(t.CACert)) {
		return nil, tidewaiter.Invalid("tls.caCert", "the CA certificate holds no usable PEM certificate").
			WithFix("paste it with its BEGIN CERTIFICATE and END CERTIFICATE lines")
	}
	config.RootCAs = pool
	return config, nil
}
