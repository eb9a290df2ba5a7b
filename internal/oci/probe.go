package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Step is one thing a probe tried.
type Step struct {
	Name     string               `json:"name"` // proxy, resolve, connect, tls, login, list or pull
	OK       bool                 `json:"ok"`
	Duration time.Duration        `json:"duration"`
	Detail   string               `json:"detail,omitempty"` // what was found
	Kind     tidewaiter.ErrorKind `json:"kind,omitempty"`   // of the error
	Error    string               `json:"error,omitempty"`
	Fix      string               `json:"fix,omitempty"`
}

// Probe tries a registry from the name to a manifest and stops at the first step that fails: the last of the steps is
// then the failed one. repository, when not empty, is listed in place of the catalog. A registry that is reached but holds
// nothing passes. ctx bounds all of it.
func (c *Client) Probe(ctx context.Context, e Endpoint, repository string) []Step {
	p := &probe{ctx: ctx, client: c, repository: repository}
	return p.all(e) //nolint:contextcheck // p holds ctx
}

func (p *probe) all(e Endpoint) []Step {
	r, err := p.client.Registry(e)
	if err != nil {
		p.run("resolve", func() (string, error) { return "", err })
		return p.steps
	}
	p.registry, p.tls = r, e.TLS
	if p.names.Repositories == nil {
		p.names = Names{Repositories: r.Repositories, Tags: r.Tags}
	}
	if p.network() && p.run("login", p.login) && p.run("list", p.list) {
		p.run("pull", p.pull)
	}
	return p.steps
}

type probe struct {
	ctx        context.Context
	client     *Client
	registry   *Registry
	names      Names
	tls        tidewaiter.TLS
	steps      []Step
	repository string   // to list tags of; "" reads the catalog
	candidates []string // repositories to find a manifest in
	tags       []string // of repository
}

// run does one step and reports whether it went well.
func (p *probe) run(name string, step func() (string, error)) bool {
	now := p.client.opts.Now
	start := now()
	detail, err := step()
	s := Step{Name: name, OK: err == nil, Detail: detail, Duration: now().Sub(start)}
	if err != nil {
		s.Detail = ""
		err = netError(err, p.hostname())
		s.Kind, s.Error = tidewaiter.KindOf(err), err.Error()
		if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
			s.Error, s.Fix = e.Msg, e.Fix
		}
	}
	p.steps = append(p.steps, s)
	return s.OK
}

func (p *probe) hostname() string {
	if p.registry == nil {
		return "the registry"
	}
	return p.registry.base.Hostname()
}

// network tries what lies below HTTP, where there is no proxy to do it.
func (p *probe) network() bool {
	if p.client.opts.Transport != nil {
		return true
	}
	base := p.registry.base
	proxy, err := p.client.opts.Proxy(&http.Request{Method: http.MethodGet, URL: base, Host: base.Host})
	if err != nil || proxy != nil {
		return p.run("proxy", func() (string, error) {
			if err != nil {
				return "", tidewaiter.Errorf(tidewaiter.ErrUnreachable, "the HTTP proxy's address cannot be read")
			}
			return "through " + proxy.Host + "; name, connection and certificate are not looked at one by one", nil
		})
	}
	var conn net.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close() // nothing was sent that could be lost
		}
	}()
	ok := p.run("resolve", p.resolve) && p.run("connect", func() (detail string, err error) {
		conn, err = p.client.dialer().DialContext(p.ctx, "tcp", net.JoinHostPort(base.Hostname(), portOf(base)))
		if err != nil {
			return "", err
		}
		return conn.RemoteAddr().String(), nil
	})
	if !ok || base.Scheme != "https" {
		return ok
	}
	return p.run("tls", func() (string, error) { return p.handshake(conn) })
}

func (p *probe) resolve() (string, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, p.hostname())
	return strings.Join(addrs[:min(len(addrs), 8)], ", "), err
}

func (p *probe) handshake(conn net.Conn) (string, error) {
	config, err := tlsConfig(p.tls)
	if err != nil {
		return "", err
	}
	config.ServerName = p.hostname()
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return "", err
	}
	state := secure.ConnectionState()
	cert := state.PeerCertificates[0]
	detail := fmt.Sprintf("%s, certificate of %s, signed by %s, valid until %s", tls.VersionName(state.Version),
		clip(plainText(cert.Subject.String()), 200), clip(plainText(cert.Issuer.String()), 200), cert.NotAfter.UTC().Format("2006-01-02"))
	if p.tls.SkipVerify {
		detail += "; not verified"
	}
	return detail, nil
}

func (p *probe) login() (string, error) {
	if err := p.registry.Ping(p.ctx); err != nil {
		return "", err
	}
	scheme, srv := p.registry.auth.learnt()
	switch {
	case p.registry.auth.isAnonymous(p.ctx):
		return "anonymous", nil
	case scheme == schemeBearer:
		return "accepted, by token from " + srv.realm.Host, nil
	case scheme == schemeNone:
		return "the registry is open to everybody; the credential was not needed", nil
	}
	return "accepted", nil
}

func (p *probe) list() (string, error) {
	if p.repository != "" {
		tags, next, err := p.names.Tags(p.ctx, p.repository, "")
		p.tags, p.candidates = tags, []string{p.repository}
		return count(len(tags), next, "tag") + " in " + p.repository, err
	}
	names, next, err := p.names.Repositories(p.ctx, "")
	p.candidates = names[:min(len(names), 5)]
	return count(len(names), next, "repository", "repositories"), err
}

func count(n int, next string, words ...string) string {
	word := words[0]
	if n != 1 {
		word = words[len(words)-1]
		if len(words) == 1 {
			word += "s"
		}
	}
	if next != "" {
		return fmt.Sprintf("%d %s and more", n, word)
	}
	return fmt.Sprintf("%d %s", n, word)
}

// pull reads one manifest of the first repositories that has a tag. What is gone by then is passed over.
func (p *probe) pull() (string, error) {
	for _, repository := range p.candidates {
		tags, err := p.tags, error(nil)
		if p.repository == "" {
			tags, _, err = p.names.Tags(p.ctx, repository, "")
		}
		if tidewaiter.KindOf(err) == tidewaiter.ErrGone || err == nil && len(tags) == 0 {
			continue
		}
		if err != nil {
			return "", err
		}
		m, _, err := p.registry.Manifest(p.ctx, repository, tags[0])
		switch tidewaiter.KindOf(err) {
		case "":
			return fmt.Sprintf("%s of %s:%s, %s", m.Kind, repository, tags[0], m.Digest), nil
		case tidewaiter.ErrGone, tidewaiter.ErrUnsupported: // readable, though not for us
			continue
		}
		return "", err
	}
	return "there is no image to try yet", nil
}
