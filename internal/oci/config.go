package oci

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config is an image's configuration.
type Config struct {
	Platform  tidewaiter.Platform
	CreatedAt time.Time // zero when it does not say, or says it in a way that cannot be read
	DiffIDs   []string  // bottom first, one for each layer
	Image     tidewaiter.ImageConfig
}

// configDocument is the configuration as it is written (OCI image-spec "Image Configuration"; Docker's has the same
// form with more fields).
type configDocument struct {
	Created       looseTime `json:"created"`
	Author        string    `json:"author"`
	Architecture  string    `json:"architecture"`
	Variant       string    `json:"variant"`
	OS            string    `json:"os"`
	OSVersion     string    `json:"os.version"`
	DockerVersion string    `json:"docker_version"`
	Config        struct {
		User         string
		Env          []string
		Entrypoint   looseList
		Cmd          looseList
		WorkingDir   string
		ExposedPorts map[string]any
		Volumes      map[string]any
		Labels       map[string]string
		Healthcheck  struct{ Test []string }
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []struct {
		Created    looseTime `json:"created"`
		CreatedBy  string    `json:"created_by"`
		Comment    string    `json:"comment"`
		EmptyLayer bool      `json:"empty_layer"`
	} `json:"history"`
}

// ParseConfig reads an image's configuration. It returns ErrMalformed for what is none.
func ParseConfig(raw []byte) (*Config, error) {
	var doc configDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the configuration cannot be read: %s", clip(plainText(err.Error()), 200))
	}
	for _, id := range doc.RootFS.DiffIDs {
		if !digestGrammar.MatchString(id) {
			return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the configuration holds an invalid diffID: %q", clip(plainText(id), 160))
		}
	}
	if n := len(doc.RootFS.DiffIDs); n > maxLayers {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the configuration lists %d layers, more than %d", n, maxLayers)
	}
	c := &Config{
		Platform:  tidewaiter.Platform{OS: doc.OS, Architecture: doc.Architecture, Variant: doc.Variant, OSVersion: doc.OSVersion},
		CreatedAt: doc.Created.Time,
		DiffIDs:   doc.RootFS.DiffIDs,
		Image: tidewaiter.ImageConfig{
			User:          doc.Config.User,
			Env:           doc.Config.Env,
			Entrypoint:    doc.Config.Entrypoint,
			Cmd:           doc.Config.Cmd,
			WorkingDir:    doc.Config.WorkingDir,
			ExposedPorts:  slices.Sorted(maps.Keys(doc.Config.ExposedPorts)),
			Volumes:       slices.Sorted(maps.Keys(doc.Config.Volumes)),
			Labels:        doc.Config.Labels,
			Healthcheck:   doc.Config.Healthcheck.Test,
			Author:        doc.Author,
			DockerVersion: doc.DockerVersion,
		},
	}
	for _, h := range doc.History {
		c.Image.History = append(c.Image.History, tidewaiter.HistoryEntry{
			CreatedAt: h.Created.Time, CreatedBy: h.CreatedBy, Comment: h.Comment, EmptyLayer: h.EmptyLayer,
		})
	}
	return c, nil
}

// looseTime is a time that may be absent or wrong: a bad build date must not keep an image from being scanned.
type looseTime struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *looseTime) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &t.Time) != nil {
		t.Time = time.Time{}
	}
	return nil
}

// looseList is a list of strings that old builders wrote as one string.
type looseList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *looseList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = nil
		if one != "" {
			*l = looseList{one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}
