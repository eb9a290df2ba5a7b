package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	scopeCatalog = "registry:catalog:*"
	// metadataTime bounds reading one listing, manifest or configuration, from asking to its last byte.
	metadataTime = 10 * time.Minute
)

func scopePull(repository string) string { return "repository:" + repository + ":pull" }

// call is one request to the registry.
type call struct {
	method string
	path   string // below /v2/
	// absolute is a path below the base and not below /v2/, escaped already; it goes before path
	absolute string
	query    string // raw
	accept   []string
	scope    string
	rangeH   string // a Range header
	blob     bool
	what     string // "tags of library/alpine", for errors
}

// do sends a call and returns whatever the registry answers.
func (r *Registry) do(ctx context.Context, c call) (*http.Response, error) {
	u := r.base.JoinPath("v2", c.path)
	if c.path == "" {
		u = r.base.JoinPath("v2/")
	}
	if c.absolute != "" {
		below, err := r.base.Parse(r.base.Scheme + "://" + r.base.Host + r.base.EscapedPath() + c.absolute)
		if err != nil || below.Host != r.base.Host {
			return nil, tidewaiter.Invalid("reference", "%s: not a valid request", c.what)
		}
		u = below
	}
	u.RawQuery = c.query
	req, err := http.NewRequestWithContext(ctx, c.method, u.String(), nil)
	if err != nil {
		return nil, tidewaiter.Invalid("reference", "%s: not a valid request", c.what)
	}
	req.Header.Set("User-Agent", r.opts.UserAgent)
	if len(c.accept) > 0 {
		req.Header.Set("Accept", strings.Join(c.accept, ", "))
	}
	if c.rangeH != "" {
		req.Header.Set("Range", c.rangeH)
	}
	client := r.meta
	if c.blob {
		client = r.blobs
	}
	resp, err := r.auth.do(client, req, c.scope)
	if err != nil {
		return nil, prefix(c.what, err)
	}
	return resp, nil
}

// fetch sends a call and returns an answer of 200, else the refusal as an error.
func (r *Registry) fetch(ctx context.Context, c call) (*http.Response, error) {
	resp, err := r.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, r.refused(ctx, readRefusal(resp), c.what)
	}
	return resp, nil
}

// read sends a call and returns headers and body of a 200, the latter up to limit bytes: beyond that it returns ErrTooLarge.
func (r *Registry) read(ctx context.Context, c call, limit int64) (http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	resp, err := r.fetch(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, nil, prefix(c.what, netError(err, r.base.Host))
	}
	if int64(len(body)) > limit {
		return nil, nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s: the answer is longer than %d MiB", c.what, limit>>20)
	}
	return resp.Header, body, nil
}

func (r *Registry) refused(ctx context.Context, f *refusal, what string) error {
	return f.err(what, f.status == http.StatusUnauthorized && r.auth.isAnonymous(ctx), r.opts.Now())
}

// prefix puts what was asked for before an error's sentence, keeping its meaning and its remedy.
func prefix(what string, err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || strings.HasPrefix(e.Msg, what) {
		return err
	}
	c := *e
	c.Msg, c.Err = what+": "+e.Msg, err
	return &c
}

// Ping asks whether the registry is there and lets the credential in: GET /v2/ (OCI distribution-spec "Determining
// Support"). It returns ErrAuth when the credential is refused or missing and ErrUnsupported when something else than a
// registry answers.
func (r *Registry) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	resp, err := r.do(ctx, call{method: http.MethodGet, what: "log in"})
	if err != nil {
		return err
	}
	f := readRefusal(resp)
	switch f.status {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "log in: there is no registry at %s: %s answered 404", r.base.JoinPath("v2/"), f.host).
			WithFix("check the address: some registries are served on a port or below a path of their own")
	}
	return r.refused(ctx, f, "log in")
}
