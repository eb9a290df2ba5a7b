package oci

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Whatever changes a registry goes through write. Whoever reads never asks a token server for
// more than pulling; only here more is asked for. Requests that write follow no redirect to another origin.

func scopePush(repository string) string { return "repository:" + repository + ":pull,push" }

func scopeDelete(repository string) string { return "repository:" + repository + ":delete,pull,push" }

// MaxPushed is the longest blob that is pushed, in bytes: what is larger is not a document any more.
const MaxPushed = 64 << 20

// change is one request that writes.
type change struct {
	method      string
	url         *url.URL
	contentType string
	body        []byte
	scope       string
	what        string
}

// write sends a change and returns the answer's headers when it has the status wanted, its body read and closed.
func (r *Registry) write(ctx context.Context, c change, want ...int) (http.Header, error) {
	req, err := http.NewRequestWithContext(slow(ctx), c.method, c.url.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, tidewaiter.Invalid("reference", "%s: not a valid request", c.what)
	}
	req.Header.Set("User-Agent", r.opts.UserAgent)
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	client := &http.Client{Transport: r.meta.Transport, CheckRedirect: stayPolicy}
	resp, err := r.auth.do(client, req, c.scope)
	if err != nil {
		return nil, prefix(c.what, err)
	}
	f := readRefusal(resp)
	if slices.Contains(want, f.status) {
		return f.header, nil
	}
	err = r.refused(ctx, f, c.what)
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok && (e.Kind == tidewaiter.ErrDenied || e.Kind == tidewaiter.ErrAuth) {
		return nil, e.WithFix("give the registry a credential that may push to this repository")
	}
	return nil, err
}

// below returns the address of a path below /v2/.
func (r *Registry) below(path string) *url.URL { return r.base.JoinPath("v2", path) }

// pushBlob stores content in a repository unless it is there already.
func (r *Registry) pushBlob(ctx context.Context, repository, mediaType string, content []byte) (tidewaiter.Descriptor, error) {
	d := tidewaiter.Descriptor{MediaType: mediaType, Digest: digestLike("", content), Size: int64(len(content))}
	what := "push blob " + repository + "@" + d.Digest
	if len(content) > MaxPushed {
		return d, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s: its %d bytes are over the limit of %d MiB", what, len(content), MaxPushed>>20)
	}
	resp, err := r.do(ctx, call{method: http.MethodHead, path: repository + "/blobs/" + d.Digest, scope: scopePush(repository), blob: true, what: what})
	if err != nil {
		return d, err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return d, nil
	}
	for again := range 2 {
		if err = r.upload(ctx, repository, what, d, content); err == nil || again > 0 {
			break
		}
		if status, _ := statusOf(err); status != http.StatusNotFound && status != http.StatusRequestedRangeNotSatisfiable {
			break // else the upload that was begun is lost, as after a cut connection: once more from the start
		}
	}
	return d, err
}

// upload stores a blob in one piece (OCI distribution-spec "POST then PUT").
func (r *Registry) upload(ctx context.Context, repository, what string, d tidewaiter.Descriptor, content []byte) error {
	start := r.below(repository + "/blobs/uploads/")
	header, err := r.write(ctx, change{method: http.MethodPost, url: start, scope: scopePush(repository), what: what}, http.StatusAccepted)
	if err != nil {
		return err
	}
	target, err := r.uploadTarget(start, header.Get("Location"), d.Digest)
	if err != nil {
		return prefix(what, err)
	}
	header, err = r.write(ctx, change{method: http.MethodPut, url: target, contentType: "application/octet-stream", body: content,
		scope: scopePush(repository), what: what}, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		return err
	}
	return prefix(what, storedAs(header, d.Digest))
}

// uploadTarget reads where a registry wants the content sent. That has to be the registry itself, by host and port: the
// credential goes along. The scheme is the registry's own, since registries behind proxies often name the wrong one.
func (r *Registry) uploadTarget(start *url.URL, location, digest string) (*url.URL, error) {
	u, err := start.Parse(location)
	if err != nil || location == "" || len(location) > 16<<10 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s does not say where to send it", r.base.Host)
	}
	if !strings.EqualFold(u.Host, r.base.Host) && !sameOrigin(u, r.base) {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s wants it sent to another host, %s, which is not given the credential",
			r.base.Host, clip(plainText(u.Host), 200)).WithFix("mend the registry's own address in its configuration, often called external URL")
	}
	u.Scheme, u.Host, u.User, u.Fragment = r.base.Scheme, r.base.Host, nil, ""
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "digest=" + url.QueryEscape(digest)
	return u, nil
}

// storedAs refuses a registry's word that it stored something else than it was sent.
func storedAs(header http.Header, digest string) error {
	if got := header.Get("Docker-Content-Digest"); digestGrammar.MatchString(got) && got != digest && strings.HasPrefix(got, "sha256:") {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the registry says it stored %s, not %s", got, digest)
	}
	return nil
}

// putManifest stores a manifest under a tag or its digest and returns what the registry's answer says in OCI-Subject: the
// digest of the subject where it keeps a list of referrers.
func (r *Registry) putManifest(ctx context.Context, repository, reference, mediaType string, raw []byte) (subject string, err error) {
	c, err := manifestCall(http.MethodPut, repository, reference)
	if err != nil {
		return "", err
	}
	what := "push " + c.what
	if len(raw) > maxManifest {
		return "", tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s: its %d bytes are over the limit of %d MiB", what, len(raw), maxManifest>>20)
	}
	header, err := r.write(ctx, change{method: http.MethodPut, url: r.below(c.path), contentType: mediaType, body: raw,
		scope: scopePush(repository), what: what}, http.StatusCreated, http.StatusOK)
	if err != nil {
		return "", err
	}
	return header.Get("Oci-Subject"), prefix(what, storedAs(header, digestLike("", raw)))
}

// deleteManifest removes a manifest by its digest.
func (r *Registry) deleteManifest(ctx context.Context, repository, digest string) error {
	c, err := manifestCall(http.MethodDelete, repository, digest)
	if err != nil {
		return err
	}
	_, err = r.write(ctx, change{method: http.MethodDelete, url: r.below(c.path), scope: scopeDelete(repository), what: "delete " + c.what},
		http.StatusAccepted, http.StatusOK, http.StatusNoContent)
	return err
}
