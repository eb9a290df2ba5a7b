package oci

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Artifact is a document that refers to a manifest: one layer behind an empty configuration.
type Artifact struct {
	Type        string // artifactType of the manifest, and media type of the document
	Content     []byte // at most MaxPushed
	Annotations map[string]string
}

// artifactManifest is how an Artifact is written. OCI image-spec: "Guidelines for Artifact Usage".
type artifactManifest struct {
	SchemaVersion int                     `json:"schemaVersion"`
	MediaType     string                  `json:"mediaType"`
	ArtifactType  string                  `json:"artifactType"`
	Config        tidewaiter.Descriptor   `json:"config"`
	Layers        []tidewaiter.Descriptor `json:"layers"`
	Subject       *tidewaiter.Descriptor  `json:"subject"`
	Annotations   map[string]string       `json:"annotations,omitempty"`
}

const (
	maxMerges   = 12 // attempts to get into the index of referrers
	maxReplaced = 64 // manifests deleted in one go
)

// emptyConfig is the content behind mediaOCIEmpty.
func emptyConfig() []byte { return []byte("{}") }

// Attach pushes artifacts that refer to subject, whose media type, digest and size have to be set, and returns the digests of
// their manifests. Where the registry keeps no list of referrers it enters them into the index tagged sha256-<hex> (OCI
// distribution-spec "Pushing Manifests with Subject"), keeping what others entered, and looks again whether they stayed
// there. The same artifacts give the same digests; blobs that are there already are not sent again.
//
// Of the other referrers, those that have the type of one of the artifacts and for which replaced says so are taken out of the
// index, and deleted where the registry allows it.
//
// Errors are as those of Manifest; ErrDenied and ErrAuth where the credential may not push, ErrConflict where the tag leads to
// something that is not an index of referrers.
func (r *Registry) Attach(ctx context.Context, repository string, subject tidewaiter.Descriptor, artifacts []Artifact, replaced func(Referrer) bool) ([]string, error) {
	if err := checkRepository(repository); err != nil {
		return nil, err
	}
	if _, err := newHash(subject.Digest); err != nil {
		return nil, err
	}
	a := &attachment{Registry: r, repository: repository, subject: subject, listed: true}
	for _, artifact := range artifacts {
		if err := a.push(ctx, artifact); err != nil {
			return nil, err
		}
	}
	a.replaced = func(ref Referrer) bool {
		like := func(e Referrer) bool { return e.ArtifactType == ref.ArtifactType }
		return !slices.Contains(a.digests(), ref.Digest) && slices.ContainsFunc(a.entries, like) && replaced(ref)
	}
	before, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	for _, ref := range before[:min(len(before), maxReplaced)] {
		a.remove(ctx, ref)
	}
	return a.digests(), nil
}

// attachment is one call of Attach.
type attachment struct {
	*Registry

	repository string
	subject    tidewaiter.Descriptor
	entries    []Referrer // what was pushed
	listed     bool       // the registry says that it lists them
	replaced   func(Referrer) bool
}

func (a *attachment) digests() []string {
	out := make([]string, len(a.entries))
	for i, e := range a.entries {
		out[i] = e.Digest
	}
	return out
}

// push stores one artifact.
func (a *attachment) push(ctx context.Context, artifact Artifact) error {
	config, err := a.pushBlob(ctx, a.repository, mediaOCIEmpty, emptyConfig())
	if err != nil {
		return err
	}
	layer, err := a.pushBlob(ctx, a.repository, artifact.Type, artifact.Content)
	if err != nil {
		return err
	}
	subject := tidewaiter.Descriptor{MediaType: a.subject.MediaType, Digest: a.subject.Digest, Size: a.subject.Size}
	raw, err := json.Marshal(artifactManifest{SchemaVersion: 2, MediaType: mediaOCIManifest, ArtifactType: artifact.Type, Config: config,
		Layers: []tidewaiter.Descriptor{layer}, Subject: &subject, Annotations: artifact.Annotations})
	if err != nil {
		return err
	}
	digest := digestLike("", raw)
	named, err := a.putManifest(ctx, a.repository, digest, mediaOCIManifest, raw)
	a.listed = a.listed && named == a.subject.Digest
	a.entries = append(a.entries, Referrer{MediaType: mediaOCIManifest, ArtifactType: artifact.Type, Digest: digest,
		Size: int64(len(raw)), Annotations: artifact.Annotations})
	return err
}

// enter sees to it that the artifacts are listed and returns those that they replace.
func (a *attachment) enter(ctx context.Context) (before []Referrer, err error) {
	all, known, err := a.referrersByAPI(ctx, a.repository, a.subject.Digest)
	if err != nil {
		return nil, err
	}
	listed := !slices.ContainsFunc(a.entries, func(e Referrer) bool {
		return !slices.ContainsFunc(all, func(r Referrer) bool { return r.Digest == e.Digest })
	})
	if known && (a.listed || listed) { // a list may lag behind what the registry has said
		return slices.DeleteFunc(all, func(r Referrer) bool { return !a.mayBeReplaced(r) }), nil
	}
	return a.enterByTag(ctx)
}

// mayBeReplaced is replaced for an entry of a registry's list: not all say there of what type a manifest is and how it is annotated.
// The manifest is looked at before anything is done to it.
func (a *attachment) mayBeReplaced(r Referrer) bool {
	return a.replaced(r) || len(r.Annotations) == 0 && !slices.Contains(a.digests(), r.Digest)
}

// enterByTag merges the artifacts into the index that stands in for a list. The registry does not compare before it writes, so
// somebody who read the index before us may write it after us, without what we entered: after a moment it is looked at again.
func (a *attachment) enterByTag(ctx context.Context) (before []Referrer, err error) {
	tag := referrersTag(a.subject.Digest)
	wrote, settled := false, false
	for range maxMerges {
		index, err := a.readIndex(ctx, tag)
		if err != nil {
			return nil, err
		}
		gone, changed, err := index.merge(a.entries, a.replaced)
		if err != nil {
			return nil, prefix("index "+a.repository+":"+tag, err)
		}
		before = append(before, gone...)
		switch {
		case !changed && (!wrote || settled):
			return before, nil
		case !changed:
			settled = true
			if err := sleep(ctx, a.settling()); err != nil {
				return nil, err
			}
		default:
			raw, err := json.Marshal(index)
			if err != nil {
				return nil, err
			}
			if _, err := a.putManifest(ctx, a.repository, tag, mediaOCIIndex, raw); err != nil {
				return nil, err
			}
			wrote, settled = true, false
		}
	}
	return nil, tidewaiter.Errorf(tidewaiter.ErrTransient, "index %s:%s: others keep writing it", a.repository, tag)
}

// settling is longer than it takes anybody to write an index after having read it.
func (a *attachment) settling() time.Duration { return 4 * a.opts.Backoff }

// readIndex reads the index behind a tag; an empty one where there is none.
func (a *attachment) readIndex(ctx context.Context, tag string) (referrersIndex, error) {
	c, err := manifestCall(http.MethodGet, a.repository, tag)
	if err != nil {
		return nil, err
	}
	raw, media, _, err := a.readManifest(ctx, c, tag)
	if tidewaiter.KindOf(err) == tidewaiter.ErrGone {
		return newReferrersIndex(), nil
	}
	if err != nil {
		return nil, err
	}
	index, err := parseReferrersIndex(raw, media)
	return index, prefix("index "+a.repository+":"+tag, err)
}

// remove deletes a manifest that was replaced, if the registry lets us. A list can say anything: what is deleted is looked at
// before, and has to be what the list says.
func (a *attachment) remove(ctx context.Context, ref Referrer) {
	_, raw, err := a.Manifest(ctx, a.repository, ref.Digest)
	if err != nil {
		return
	}
	var m artifactManifest
	if json.Unmarshal(raw, &m) != nil || m.Subject == nil || m.Subject.Digest != a.subject.Digest {
		return
	}
	if a.replaced(Referrer{ArtifactType: m.ArtifactType, Digest: ref.Digest, Annotations: m.Annotations}) {
		_ = a.deleteManifest(ctx, a.repository, ref.Digest) // many registries do not allow it
	}
}
