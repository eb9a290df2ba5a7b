package samples

import (
	"encoding/json"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Media types. OCI image-spec, "Media Types"; Docker: "Image Manifest Version 2, Schema 2".
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar"
	ociEmpty       = "application/vnd.oci.empty.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
)

// Blob is content a manifest points to.
type Blob struct {
	tidewaiter.Descriptor
	Data []byte
}

// NewBlob describes data.
func NewBlob(mediaType string, data []byte) Blob {
	return Blob{
		Descriptor: tidewaiter.Descriptor{MediaType: mediaType, Digest: digestOf(data), Size: int64(len(data))},
		Data:       data,
	}
}

// Manifest is a manifest with everything it leads to, ready to be pushed.
type Manifest struct {
	Blob               // the manifest itself; Platform is set on images
	Blobs  []Blob      // its config, then its layers
	Layers []Layer     // of an image, bottom first
	Images []*Manifest // of an index
}

// manifestJSON is the wire form of a manifest. OCI image-spec, "Image Manifest".
type manifestJSON struct {
	SchemaVersion int                     `json:"schemaVersion"`
	MediaType     string                  `json:"mediaType"`
	ArtifactType  string                  `json:"artifactType,omitempty"`
	Config        tidewaiter.Descriptor   `json:"config"`
	Layers        []tidewaiter.Descriptor `json:"layers"`
	Subject       *tidewaiter.Descriptor  `json:"subject,omitempty"`
	Annotations   map[string]string       `json:"annotations,omitempty"`
}

// indexJSON is the wire form of an index. OCI image-spec, "Image Index".
type indexJSON struct {
	SchemaVersion int                     `json:"schemaVersion"`
	MediaType     string                  `json:"mediaType"`
	Manifests     []tidewaiter.Descriptor `json:"manifests"`
}

// Index groups images, and whatever else is given, under one digest. Members keep the annotations of their descriptors.
func Index(members ...*Manifest) (*Manifest, error) {
	doc := indexJSON{SchemaVersion: 2, MediaType: ociIndex}
	for _, m := range members {
		doc.Manifests = append(doc.Manifests, m.Descriptor)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	return &Manifest{Blob: NewBlob(ociIndex, data), Images: members}, nil
}

// ArtifactSpec says what a manifest that is no image holds.
type ArtifactSpec struct {
	Type        string // the artifact type; "" for the older form that is told by its config's media type only
	Config      Blob   // the empty JSON object when left out
	Layers      []Blob
	Subject     *tidewaiter.Descriptor // what it is about, for the referrers API
	Annotations map[string]string
}

// Artifact makes a manifest of something that is no image: a chart, a signature, a database.
// OCI image-spec, "Guidelines for Artifact Usage".
func Artifact(s ArtifactSpec) (*Manifest, error) {
	if s.Config.Data == nil {
		s.Config = NewBlob(ociEmpty, []byte("{}"))
	}
	doc := manifestJSON{
		SchemaVersion: 2, MediaType: ociManifest, ArtifactType: s.Type, Config: s.Config.Descriptor,
		Layers: []tidewaiter.Descriptor{}, Subject: s.Subject, Annotations: s.Annotations,
	}
	for _, l := range s.Layers {
		doc.Layers = append(doc.Layers, l.Descriptor)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return &Manifest{Blob: NewBlob(ociManifest, data), Blobs: append([]Blob{s.Config}, s.Layers...)}, nil
}
