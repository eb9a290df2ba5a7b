package samples

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config is the part of an image's configuration that says how it runs. OCI image-spec, "Image Configuration".
type Config struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	Healthcheck  *Healthcheck        `json:"Healthcheck,omitempty"` // Docker only; ignored but kept by others
}

// Healthcheck is Docker's way to ask a container whether it is well.
type Healthcheck struct {
	Test []string `json:"Test,omitempty"`
}

// Image is an image being put together. Every method returns a new value and leaves the old one as it was, so that
// several images can be continued from one base. The first error is kept until Build.
type Image struct {
	platform  tidewaiter.Platform
	created   time.Time
	docker    bool
	noHistory bool
	config    Config
	steps     []step
	err       error
}

// step is one line of the build: a layer, or a change of the configuration that makes none.
type step struct {
	layer *Layer
	by    string
}

// NewImage is an image without layers for linux/amd64, in OCI format.
func NewImage() Image {
	return Image{platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, created: builtAt()}
}

// Layer adds a gzip layer of entries on top.
func (i Image) Layer(entries ...Entry) Image { return i.Step("COPY . / # buildkit", entries...) }

// Step is Layer with the build step the history shows.
func (i Image) Step(by string, entries ...Entry) Image {
	l, err := NewLayer(Gzip, entries...)
	if err != nil && i.err == nil {
		i.err = err
	}
	return i.Add(l.By(by))
}

// Add puts a finished layer on top.
func (i Image) Add(l Layer) Image {
	i.steps = append(slices.Clone(i.steps), step{layer: &l, by: l.CreatedBy})
	return i
}

// Config changes the configuration; by is the build step the history shows, "" for none.
func (i Image) Config(by string, change func(*Config)) Image {
	c := i.config
	c.Env, c.Entrypoint, c.Cmd = slices.Clone(c.Env), slices.Clone(c.Entrypoint), slices.Clone(c.Cmd)
	c.Labels, c.ExposedPorts, c.Volumes = maps.Clone(c.Labels), maps.Clone(c.ExposedPorts), maps.Clone(c.Volumes)
	change(&c)
	i.config = c
	if by != "" {
		i.steps = append(slices.Clone(i.steps), step{by: by})
	}
	return i
}

// Platform says what the image runs on.
func (i Image) Platform(os, architecture, variant string) Image {
	i.platform = tidewaiter.Platform{OS: os, Architecture: architecture, Variant: variant}
	return i
}

// Created says when the image was made.
func (i Image) Created(at time.Time) Image {
	i.created = at
	return i
}

// Docker makes Build use Docker's media types (manifest version 2, schema 2) instead of OCI's.
func (i Image) Docker() Image {
	i.docker = true
	return i
}

// WithoutHistory leaves the history out, as builders that do not follow a Dockerfile do.
func (i Image) WithoutHistory() Image {
	i.noHistory = true
	return i
}

// MustBuild is Build for content that is known to be right: it panics on an error.
func (i Image) MustBuild() *Manifest {
	m, err := i.Build()
	if err != nil {
		panic(err)
	}
	return m
}

// Build writes config and manifest. It fails when an entry could not be archived, or when Docker's format cannot say how
// a layer is packed.
func (i Image) Build() (*Manifest, error) {
	if i.err != nil {
		return nil, i.err
	}
	manifestType, configType := ociManifest, ociConfig
	if i.docker {
		manifestType, configType = dockerManifest, dockerConfig
	}
	config, err := i.configBlob(configType)
	if err != nil {
		return nil, err
	}
	doc := manifestJSON{
		SchemaVersion: 2, MediaType: manifestType, Config: config.Descriptor, Layers: []tidewaiter.Descriptor{},
	}
	m := &Manifest{Blobs: []Blob{config}}
	for _, s := range i.steps {
		if s.layer == nil {
			continue
		}
		mediaType, err := layerType(i.docker, s.layer.Compression)
		if err != nil {
			return nil, err
		}
		b := NewBlob(mediaType, s.layer.Data)
		b.Digest = s.layer.Digest
		doc.Layers = append(doc.Layers, b.Descriptor)
		m.Blobs = append(m.Blobs, b)
		m.Layers = append(m.Layers, *s.layer)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	m.Blob = NewBlob(manifestType, data)
	m.Platform = &i.platform
	return m, nil
}

func layerType(docker bool, c Compression) (string, error) {
	switch {
	case docker && c == Gzip:
		return dockerLayer + ".gzip", nil
	case docker && c == Stored:
		return dockerLayer, nil
	case docker:
		return "", fmt.Errorf("docker's image format has no %s layers", c)
	case c == Stored:
		return ociLayer, nil
	}
	return ociLayer + "+" + string(c), nil
}

// configJSON is the wire form of an image's configuration.
type configJSON struct {
	Created      time.Time     `json:"created"`
	Architecture string        `json:"architecture"`
	Variant      string        `json:"variant,omitempty"`
	OS           string        `json:"os"`
	Config       Config        `json:"config"`
	RootFS       rootFS        `json:"rootfs"`
	History      []historyJSON `json:"history,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type historyJSON struct {
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by"`
	EmptyLayer bool      `json:"empty_layer,omitempty"`
}

func (i Image) configBlob(mediaType string) (Blob, error) {
	doc := configJSON{
		Created: i.created, Architecture: i.platform.Architecture, Variant: i.platform.Variant, OS: i.platform.OS,
		Config: i.config, RootFS: rootFS{Type: "layers", DiffIDs: []string{}},
	}
	for _, s := range i.steps {
		if s.layer != nil {
			doc.RootFS.DiffIDs = append(doc.RootFS.DiffIDs, s.layer.DiffID)
		}
		if !i.noHistory {
			doc.History = append(doc.History, historyJSON{Created: i.created, CreatedBy: s.by, EmptyLayer: s.layer == nil})
		}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return Blob{}, fmt.Errorf("encode image config: %w", err)
	}
	return NewBlob(mediaType, data), nil
}
