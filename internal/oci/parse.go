package oci

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	mediaOCIConfig    = "application/vnd.oci.image.config.v1+json"
	mediaDockerConfig = "application/vnd.docker.container.image.v1+json"
	mediaOCIEmpty     = "application/vnd.oci.empty.v1+json"
	maxLayers         = 1024 // Docker stops at 127
	maxIndexed        = 10_000
)

// document is a manifest of any kind, as it is written.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	Manifests     []descriptor `json:"manifests"`
	Blobs         []descriptor `json:"blobs"`    // of an OCI artifact manifest
	FSLayers      []any        `json:"fsLayers"` // of schema 1
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
	Platform     *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		OSVersion    string `json:"os.version"`
	} `json:"platform"`
}

// ParseManifest reads a manifest that came with a Content-Type, which may be "" or generic. An image is what has an image
// configuration and layers (or none); every other manifest is an Artifact: signatures and attestations carry an image
// configuration too, but no layers. The Digest is left to the caller.
//
// It returns ErrUnsupported for schema 1 and unknown types, and ErrMalformed for what breaks its format, a document that
// is image and index at once included (CVE-2021-41190).
func ParseManifest(raw []byte, contentType string) (*tidewaiter.Manifest, error) {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, notAList(raw, err)
	}
	media, err := doc.kind(contentType)
	if err != nil {
		return nil, err
	}
	m := &tidewaiter.Manifest{MediaType: media, ArtifactType: doc.ArtifactType, Size: int64(len(raw))}
	switch media {
	case mediaOCIIndex, mediaDockerList:
		m.Kind = tidewaiter.ManifestIndex
		m.Manifests, err = convert(doc.Manifests, maxIndexed)
		return m, err
	case mediaOCIArtifact:
		m.Kind = tidewaiter.ManifestArtifact
		m.Layers, err = convert(doc.Blobs, maxIndexed)
		return m, err
	}
	if doc.Config == nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the manifest has no config")
	}
	config, err := convert([]descriptor{*doc.Config}, 1)
	if err != nil {
		return nil, err
	}
	m.Config = config[0]
	if m.Layers, err = convert(doc.Layers, maxLayers); err != nil {
		return nil, err
	}
	m.Kind = tidewaiter.ManifestImage
	if !holdsImage(m) {
		m.Kind = tidewaiter.ManifestArtifact
		m.ArtifactType = artifactType(m)
	}
	return m, nil
}

// kind decides on the document's media type.
func (d *document) kind(contentType string) (string, error) {
	if strings.HasPrefix(contentType, "application/vnd.docker.distribution.manifest.v1") || d.SchemaVersion == 1 || d.FSLayers != nil {
		return "", tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the manifest is of Docker's schema 1, out of use since 2017").
			WithFix("push the image again with a current client")
	}
	if d.Manifests != nil && (d.Config != nil || d.Layers != nil) {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the manifest claims to be an image and an index at once")
	}
	known := append(manifestTypes(), mediaOCIArtifact)
	named, sent := slices.Contains(known, d.MediaType), slices.Contains(known, contentType)
	media := contentType
	switch {
	case named && sent && d.MediaType != contentType:
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the manifest is sent as %s but says it is %s", contentType, d.MediaType)
	case named:
		media = d.MediaType
	case sent:
	case d.MediaType != "":
		return "", tidewaiter.Errorf(tidewaiter.ErrUnsupported, "unknown manifest type %q", clip(plainText(d.MediaType), 120))
	case d.Manifests != nil:
		media = mediaOCIIndex
	case d.Config != nil:
		media = mediaOCIManifest
	default:
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the answer is no manifest")
	}
	index := media == mediaOCIIndex || media == mediaDockerList
	if index && (d.Config != nil || d.Layers != nil) || !index && d.Manifests != nil {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the manifest's content does not fit its type %s", media)
	}
	return media, nil
}

// holdsImage reports whether a manifest is an image rather than something that borrows the form of one.
func holdsImage(m *tidewaiter.Manifest) bool {
	if m.Config.MediaType != mediaOCIConfig && m.Config.MediaType != mediaDockerConfig {
		return false
	}
	return len(m.Layers) == 0 || slices.ContainsFunc(m.Layers, func(d tidewaiter.Descriptor) bool {
		return strings.HasPrefix(d.MediaType, "application/vnd.oci.image.layer.") || strings.HasPrefix(d.MediaType, "application/vnd.docker.image.rootfs.")
	})
}

// artifactType is the declared type, else the configuration's media type (OCI image-spec "Guidelines for Artifact
// Usage"), else, behind an image's or empty configuration, that of the first layer.
func artifactType(m *tidewaiter.Manifest) string {
	switch c := m.Config.MediaType; {
	case m.ArtifactType != "":
		return m.ArtifactType
	case c != mediaOCIConfig && c != mediaDockerConfig && c != mediaOCIEmpty || len(m.Layers) == 0:
		return c
	}
	return m.Layers[0].MediaType
}

// convert checks descriptors and takes over what the domain knows of them.
func convert(in []descriptor, most int) ([]tidewaiter.Descriptor, error) {
	if len(in) > most {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the manifest lists %d entries, more than %d", len(in), most)
	}
	var out []tidewaiter.Descriptor
	for _, d := range in {
		if !digestGrammar.MatchString(d.Digest) || d.Size < 0 {
			return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the manifest holds an entry without valid digest and size: %q", clip(plainText(d.Digest), 160))
		}
		t := tidewaiter.Descriptor{MediaType: clip(plainText(d.MediaType), 255), Digest: d.Digest, Size: d.Size, Annotations: d.Annotations}
		t.ArtifactType = clip(plainText(d.ArtifactType), 255)
		if p := d.Platform; p != nil {
			t.Platform = &tidewaiter.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
		}
		out = append(out, t)
	}
	return out, nil
}
