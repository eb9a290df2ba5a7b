package oci

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Referrer is a manifest that refers to another: a signature, attestation or SBOM of it.
type Referrer = tidewaiter.Descriptor

// Referrers lists what refers to a manifest: by the referrers API, and where a registry has none by the index tagged
// sha256-<hex> (OCI distribution-spec "Listing Referrers" and "Unavailable Referrers API"). None is an empty list. More
// than 10,000 is ErrTooLarge. Cosign's own tags (sha256-<hex>.sig and such) are not looked at.
func (r *Registry) Referrers(ctx context.Context, repository, digest string) ([]Referrer, error) {
	if err := checkRepository(repository); err != nil {
		return nil, err
	}
	if _, err := newHash(digest); err != nil {
		return nil, err
	}
	all, known, err := r.referrersByAPI(ctx, repository, digest)
	if err != nil || known {
		return all, err
	}
	return r.referrersByTag(ctx, repository, digest)
}

// referrersByAPI asks the referrers API; known is false where the registry has none.
func (r *Registry) referrersByAPI(ctx context.Context, repository, digest string) (all []Referrer, known bool, err error) {
	c := call{
		method: http.MethodGet, path: repository + "/referrers/" + digest, accept: []string{mediaOCIIndex},
		scope: scopePull(repository), what: "referrers of " + repository + "@" + digest,
	}
	var at cursor
	for {
		header, body, err := r.read(ctx, c, maxManifest)
		if at.page == 0 && (notKnown(err) || err == nil && mediaType(header) != mediaOCIIndex) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		some, err := parseReferrers(body)
		if err != nil {
			return nil, false, prefix(c.what, err)
		}
		if all = append(all, some...); len(all) > maxIndexed {
			return nil, false, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s: more than %d", c.what, maxIndexed)
		}
		target, more, err := nextLink(header.Values("Link"))
		if err != nil || !more {
			return all, true, err
		}
		if c.query, err = linkQuery(target); err != nil {
			return nil, false, prefix(c.what, err)
		}
		if at, err = at.next(c.query, false); err != nil {
			return nil, false, prefix(c.what, err)
		}
	}
}

func (r *Registry) referrersByTag(ctx context.Context, repository, digest string) ([]Referrer, error) {
	tag := referrersTag(digest)
	c, err := manifestCall(http.MethodGet, repository, tag)
	if err != nil {
		return nil, err
	}
	raw, _, _, err := r.readManifest(ctx, c, tag)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrGone:
		return nil, nil
	case err != nil:
		return nil, err
	}
	all, err := parseReferrers(raw)
	return all, prefix(c.what, err)
}

func parseReferrers(raw []byte) ([]Referrer, error) {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, notAList(raw, err)
	}
	if doc.Config != nil || doc.Layers != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the list of referrers is not an index")
	}
	return convert(doc.Manifests, maxIndexed)
}
