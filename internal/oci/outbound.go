package oci

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// OutboundOptions configures an Outbound. The zero value reaches public addresses only.
type OutboundOptions struct {
	AllowLoopback bool // 127.0.0.0/8 and ::1
	AllowPrivate  bool // private ranges, shared address space and the like

	// Proxy chooses the HTTP proxy of a request; nil reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Through a proxy only
	// literal addresses can be judged: the proxy resolves the names.
	Proxy func(*http.Request) (*url.URL, error)
}

// Outbound makes requests to addresses that users gave and that are no registries. Link-local, metadata, multicast and
// unspecified addresses are refused always, loopback and private ones unless the options allow them; what a name leads to is
// looked at at the moment of dialling. It is safe for concurrent use.
type Outbound struct {
	opts  OutboundOptions
	guard guard

	mu    sync.Mutex
	pools map[poolKey]*outboundPool
}

// NewOutbound makes an Outbound.
func NewOutbound(o OutboundOptions) *Outbound {
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	return &Outbound{opts: o, guard: guard{allowLoopback: o.AllowLoopback, denyPrivate: !o.AllowPrivate}, pools: map[poolKey]*outboundPool{}}
}

// Close drops idle connections. The Outbound stays usable.
func (o *Outbound) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, p := range o.pools {
		p.close()
		delete(o.pools, key)
	}
}

// CheckHost judges what can be judged of a host before it is asked: literal addresses and well-known names. ErrDenied.
func (o *Outbound) CheckHost(host string) error { return o.guard.checkHost(host) }

// Transport returns the connection pool for a TLS setting. ErrInvalid for a certificate that cannot be used.
func (o *Outbound) Transport(t tidewaiter.TLS) (http.RoundTripper, error) {
	config, err := tlsConfig(t)
	if err != nil {
		return nil, err
	}
	key := poolKey{ca: sha256.Sum256([]byte(t.CACert)), skipVerify: t.SkipVerify}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p, ok := o.pools[key]; ok {
		return p, nil
	}
	if len(o.pools) >= maxPools {
		for old, p := range o.pools {
			p.close()
			delete(o.pools, old)
			break
		}
	}
	pool := func() *http.Transport {
		return &http.Transport{
			TLSClientConfig: config, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConns: 64, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	dialer := (&Client{guard: o.guard}).dialer()
	p := &outboundPool{outbound: o, direct: pool(), proxied: pool()}
	p.direct.DialContext = dialer.DialContext
	p.proxied.Proxy = o.opts.Proxy // whoever started the process chose it, wherever it is
	o.pools[key] = p
	return p, nil
}

// outboundPool is the connections for one TLS setting: those of our own and those through a proxy.
type outboundPool struct {
	outbound        *Outbound
	direct, proxied *http.Transport
}

func (p *outboundPool) close() {
	p.direct.CloseIdleConnections()
	p.proxied.CloseIdleConnections()
}

// RoundTrip implements http.RoundTripper.
func (p *outboundPool) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := p.outbound.guard.checkHost(req.URL.Hostname()); err != nil {
		return nil, err
	}
	proxy, err := p.outbound.opts.Proxy(req)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		return p.proxied.RoundTrip(req)
	}
	return p.direct.RoundTrip(req)
}
