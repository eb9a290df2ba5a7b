package oci

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The media types of manifests.
const (
	mediaOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	mediaOCIIndex       = "application/vnd.oci.image.index.v1+json"
	mediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaOCIArtifact    = "application/vnd.oci.artifact.manifest.v1+json" // never became part of OCI 1.1; still stored
)

const maxManifest = 8 << 20

func manifestTypes() []string {
	return []string{mediaOCIIndex, mediaDockerList, mediaOCIManifest, mediaDockerManifest}
}

// Head asks what a tag or digest leads to without reading it: registries that count pulls do not count this. It reads the
// manifest after all where a HEAD is refused as such or answers without a digest. Size is 0 and MediaType "" where the
// registry does not say. Errors as Manifest.
func (r *Registry) Head(ctx context.Context, repository, reference string) (tidewaiter.Descriptor, error) {
	c, err := manifestCall(http.MethodHead, repository, reference)
	if err != nil {
		return tidewaiter.Descriptor{}, err
	}
	resp, err := r.fetch(ctx, c)
	switch {
	case err == nil:
		resp.Body.Close()
	case headRefused(err):
		return r.headByGet(ctx, repository, reference)
	default:
		return tidewaiter.Descriptor{}, err
	}
	d := tidewaiter.Descriptor{
		MediaType: mediaType(resp.Header),
		Digest:    resp.Header.Get("Docker-Content-Digest"),
		Size:      max(resp.ContentLength, 0),
	}
	switch {
	case !digestGrammar.MatchString(d.Digest):
		return r.headByGet(ctx, repository, reference)
	case strings.Contains(reference, ":") && d.Digest != reference:
		return tidewaiter.Descriptor{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s: the registry names another digest, %s", c.what, d.Digest)
	}
	return d, nil
}

func (r *Registry) headByGet(ctx context.Context, repository, reference string) (tidewaiter.Descriptor, error) {
	c, err := manifestCall(http.MethodGet, repository, reference)
	if err != nil {
		return tidewaiter.Descriptor{}, err
	}
	raw, media, digest, err := r.readManifest(ctx, c, reference)
	return tidewaiter.Descriptor{MediaType: media, Digest: digest, Size: int64(len(raw))}, err
}

// headRefused reports an answer that is about the method rather than the manifest.
func headRefused(err error) bool {
	switch status, _ := statusOf(err); status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// Manifest reads and parses what a tag or digest leads to, at most 8 MiB, together with its bytes. The digest is verified
// whenever it is known: from the reference, else from the registry's Docker-Content-Digest. It returns ErrGone for one
// the registry does not have, ErrMalformed for one that breaks its format, and ErrUnsupported for Docker's schema 1.
func (r *Registry) Manifest(ctx context.Context, repository, reference string) (*tidewaiter.Manifest, []byte, error) {
	c, err := manifestCall(http.MethodGet, repository, reference)
	if err != nil {
		return nil, nil, err
	}
	raw, media, digest, err := r.readManifest(ctx, c, reference)
	if err != nil {
		return nil, nil, err
	}
	m, err := ParseManifest(raw, media)
	if err != nil {
		return nil, nil, prefix(c.what, err)
	}
	m.Digest = digest
	return m, raw, nil
}

func (r *Registry) readManifest(ctx context.Context, c call, reference string) (raw []byte, media, digest string, err error) {
	header, raw, err := r.read(ctx, c, maxManifest)
	if err != nil {
		return nil, "", "", err
	}
	digest = header.Get("Docker-Content-Digest")
	if strings.Contains(reference, ":") {
		digest = reference
	}
	if !digestGrammar.MatchString(digest) {
		digest = digestLike("", raw)
	}
	if err := verify(digest, raw); err != nil {
		return nil, "", "", prefix(c.what, err)
	}
	return raw, mediaType(header), digest, nil
}

func manifestCall(method, repository, reference string) (call, error) {
	if err := checkRepository(repository); err != nil {
		return call{}, err
	}
	if err := checkIdentifier(reference); err != nil {
		return call{}, err
	}
	sep := ":"
	if strings.Contains(reference, ":") {
		sep = "@"
	}
	return call{
		method: method, path: repository + "/manifests/" + reference, accept: manifestTypes(),
		scope: scopePull(repository), what: "manifest " + repository + sep + reference,
	}, nil
}

// mediaType returns the Content-Type without parameters, "" when it cannot be read.
func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// Config reads and parses an image's configuration, at most 8 MiB, verified against the descriptor's digest and size. It
// returns ErrTooLarge, ErrGone, ErrMalformed.
func (r *Registry) Config(ctx context.Context, repository string, d tidewaiter.Descriptor) (*Config, []byte, error) {
	if err := checkRepository(repository); err != nil {
		return nil, nil, err
	}
	what := "configuration " + repository + "@" + clip(plainText(d.Digest), 160)
	if _, err := newHash(d.Digest); err != nil {
		return nil, nil, prefix(what, err)
	}
	if d.Size > maxManifest {
		return nil, nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s: its %d bytes are over the limit of %d MiB", what, d.Size, maxManifest>>20)
	}
	c := call{method: http.MethodGet, path: repository + "/blobs/" + d.Digest, scope: scopePull(repository), blob: true, what: what}
	_, raw, err := r.read(ctx, c, maxManifest)
	if err != nil {
		return nil, nil, err
	}
	if err := verify(d.Digest, raw); err != nil {
		return nil, nil, prefix(what, err)
	}
	if d.Size >= 0 && int64(len(raw)) != d.Size {
		return nil, nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s: %d bytes where the manifest says %s", what, len(raw), strconv.FormatInt(d.Size, 10))
	}
	parsed, err := ParseConfig(raw)
	if err != nil {
		return nil, nil, prefix(what, err)
	}
	return parsed, raw, nil
}
