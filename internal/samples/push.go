package samples

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// AdvisoriesRepository and AdvisoriesTag are where Push puts the advisory database.
const (
	AdvisoriesRepository = "tidewaiter/advisories"
	AdvisoriesTag        = "2"
)

// Options says how to reach a registry.
type Options struct {
	Username, Password string            // "" to go without
	Transport          http.RoundTripper // nil: a plain one of its own
	Insecure           bool              // accept any certificate; has no effect on a Transport given
	Advisories         AdvisoryOptions
	Progress           func(Step) // called after each manifest, from the calling goroutine; may be nil
}

// Step tells how far Push has come.
type Step struct {
	Name        string // repository:tag
	Digest      string
	About       string
	Done, Total int // manifests, an index counted once
}

// Pusher uploads manifests to one registry.
type Pusher struct {
	host   string
	plain  bool
	client *auth.Client
}

// NewPusher prepares to push to the registry at registryURL, whose scheme has to be http or https.
func NewPusher(registryURL string, o Options) (*Pusher, error) {
	u, err := url.Parse(registryURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, tidewaiter.Invalid("url", "not a registry's address").WithFix("give it as https://host[:port]")
	}
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			IdleConnTimeout:       10 * time.Second,
			TLSClientConfig:       &tls.Config{InsecureSkipVerify: o.Insecure}, // only where the caller asked for it
		}
	}
	client := &auth.Client{Client: &http.Client{Transport: transport}, Cache: auth.NewCache()}
	if o.Username != "" {
		client.Credential = auth.StaticCredential(u.Host, auth.Credential{Username: o.Username, Password: o.Password})
	}
	return &Pusher{host: u.Host, plain: u.Scheme == "http", client: client}, nil
}

// Push uploads m with everything it leads to and gives it tags; without tags it can be had by digest only.
func (p *Pusher) Push(ctx context.Context, repository string, m *Manifest, tags ...string) error {
	repo, err := remote.NewRepository(p.host + "/" + repository)
	if err != nil {
		return tidewaiter.Invalid("repository", "%q cannot be a repository", repository)
	}
	repo.PlainHTTP, repo.Client = p.plain, p.client
	if err := push(ctx, repo, m, tags); err != nil {
		return pushError(repository, err)
	}
	return nil
}

func push(ctx context.Context, repo *remote.Repository, m *Manifest, tags []string) error {
	for _, b := range m.Blobs {
		d := descriptor(b)
		have, err := repo.Blobs().Exists(ctx, d)
		if err != nil {
			return err
		}
		if have {
			continue
		}
		if err := repo.Blobs().Push(ctx, d, bytes.NewReader(b.Data)); err != nil {
			return err
		}
	}
	for _, image := range m.Images {
		if err := push(ctx, repo, image, nil); err != nil {
			return err
		}
	}
	if len(tags) == 0 {
		return repo.Manifests().Push(ctx, descriptor(m.Blob), bytes.NewReader(m.Data))
	}
	for _, tag := range tags {
		if err := repo.Manifests().PushReference(ctx, descriptor(m.Blob), bytes.NewReader(m.Data), tag); err != nil {
			return err
		}
	}
	return nil
}

func descriptor(b Blob) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: b.MediaType, Digest: digest.Digest(b.Digest), Size: int64(len(b.Data))}
}

// pushError says what a failed upload means.
func pushError(repository string, err error) error {
	kind := tidewaiter.ErrUnreachable
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		switch code := answer.StatusCode; {
		case code == http.StatusUnauthorized:
			kind = tidewaiter.ErrAuth
		case code == http.StatusForbidden:
			kind = tidewaiter.ErrDenied
		case code == http.StatusTooManyRequests:
			kind = tidewaiter.ErrLimit
		case code >= 500:
			kind = tidewaiter.ErrTransient
		default:
			kind = tidewaiter.ErrUnsupported
		}
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		kind = tidewaiter.ErrTLS
	} else if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		kind = tidewaiter.ErrTLS
	} else if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		kind = tidewaiter.ErrAuth
	} else if errors.Is(err, context.Canceled) {
		kind = tidewaiter.ErrCanceled
	}
	return tidewaiter.Errorf(kind, "push samples to %s: %w", repository, err)
}

// Push uploads all samples and the advisory database. It may be run again: what a registry has is not sent twice.
func Push(ctx context.Context, registryURL string, o Options) error {
	p, err := NewPusher(registryURL, o)
	if err != nil {
		return err
	}
	list, err := Catalogue(ctx)
	if err != nil {
		return err
	}
	db, err := PackAdvisories(o.Advisories)
	if err != nil {
		return err
	}
	list = append(list, Sample{
		Repository: AdvisoriesRepository, Tags: []string{AdvisoriesTag}, Manifest: db,
		About: "advisories about the packages of the samples",
	})
	for i, s := range list {
		if err := p.Push(ctx, s.Repository, s.Manifest, s.Tags...); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(Step{
				Name: s.Repository + ":" + s.Tags[0], Digest: s.Manifest.Digest, About: s.About, Done: i + 1, Total: len(list),
			})
		}
	}
	return nil
}
