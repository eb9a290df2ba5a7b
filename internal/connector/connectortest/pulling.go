package connectortest

import (
	"io"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Pulls reads one image as a scan does: manifest, configuration and every layer, with the kind's own login.
func (s *Subject) Pulls(t *testing.T) {
	t.Helper()
	PullsFrom(t, s.Open(t), s.Repositories[0])
}

// PullsFrom reads the first image among the tags of a repository.
func PullsFrom(t *testing.T, source *connector.Source, repository string) {
	t.Helper()
	tags, _ := readTags(t, func() *connector.Source { return source }, repository)
	for _, tag := range tags {
		m, _, err := source.Manifest(t.Context(), repository, tag.Name)
		if err != nil {
			t.Fatal(err)
		}
		if tag.Digest != "" && m.Digest != tag.Digest {
			t.Errorf("%s:%s was listed as %s and is %s", repository, tag.Name, tag.Digest, m.Digest)
		}
		if m.Kind != tidewaiter.ManifestImage {
			continue
		}
		if _, _, err := source.Config(t.Context(), repository, m.Config); err != nil {
			t.Fatal(err)
		}
		for _, layer := range m.Layers {
			b, err := source.Blob(t.Context(), repository, layer)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, b)
			b.Close()
			if err != nil || n != layer.Size {
				t.Fatalf("%d bytes of %d: %v", n, layer.Size, err)
			}
		}
		return
	}
	t.Errorf("no image among %d tags of %s", len(tags), repository)
}

// RefusesWrongSecrets holds that a secret that is not the right one ends in ErrAuth or ErrDenied.
func (s *Subject) RefusesWrongSecrets(t *testing.T) {
	t.Helper()
	source := s.OpenWith(t, s.Client(t, nil), s.Wrong)
	_, _, err := source.Repositories(t.Context(), "")
	if kind := tidewaiter.KindOf(err); kind != tidewaiter.ErrAuth && kind != tidewaiter.ErrDenied {
		t.Errorf("listing with a wrong secret: %s, %v", kind, err)
	}
	_, _, err = source.Manifest(t.Context(), s.Repositories[0], "latest")
	if kind := tidewaiter.KindOf(err); kind != tidewaiter.ErrAuth && kind != tidewaiter.ErrDenied {
		t.Errorf("pulling with a wrong secret: %s, %v", kind, err)
	}
}
