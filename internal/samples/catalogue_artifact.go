package samples

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// artifactSamples are what lies in registries beside images.
func artifactSamples(context.Context) ([]Sample, error) { return collect(chart, signature) }

func chart() (Sample, error) {
	config := NewBlob("application/vnd.cncf.helm.config.v1+json",
		[]byte(`{"name":"shop","version":"1.4.2","description":"sample","apiVersion":"v2"}`))
	archive, err := NewLayer(Gzip, File("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.4.2\n"))
	if err != nil {
		return Sample{}, err
	}
	m, err := Artifact(ArtifactSpec{
		Config: config,
		Layers: []Blob{NewBlob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", archive.Data)},
	})
	return Sample{Repository: "charts/shop", Tags: []string{"1.4.2"}, About: "a Helm chart: no image", Manifest: m,
		Expect: Expectation{Kind: tidewaiter.ManifestArtifact}}, err
}

// signature stands beside shop/api as cosign leaves it there: an image manifest by its media types, under a tag made of
// the digest it signs.
func signature() (Sample, error) {
	signed, err := api()
	if err != nil {
		return Sample{}, err
	}
	payload, err := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": "registry.example.com/shop/api"},
			"image":    map[string]string{"docker-manifest-digest": signed.Manifest.Digest},
			"type":     "cosign container image signature",
		},
		"optional": nil,
	})
	if err != nil {
		return Sample{}, fmt.Errorf("encode signature payload: %w", err)
	}
	layer := NewBlob("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "c2FtcGxlIHNpZ25hdHVyZQ=="}
	m, err := Artifact(ArtifactSpec{Config: NewBlob(ociConfig, configOf(layer)), Layers: []Blob{layer}})
	return Sample{
		Repository: signed.Repository, Tags: []string{strings.Replace(signed.Manifest.Digest, ":", "-", 1) + ".sig"},
		About: "a signature beside the image it signs", Manifest: m,
		Expect: Expectation{Kind: tidewaiter.ManifestArtifact},
	}, err
}

// attestation is the provenance of an image as BuildKit adds it to an index.
// Docker: "Image attestation storage".
func attestation(of *Manifest) (*Manifest, error) {
	statement := NewBlob("application/vnd.in-toto+json",
		[]byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://slsa.dev/provenance/v0.2","subject":[],"predicate":{}}`))
	statement.Annotations = map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
	m, err := Artifact(ArtifactSpec{Config: NewBlob(ociConfig, configOf(statement)), Layers: []Blob{statement}})
	if err != nil {
		return nil, err
	}
	m.Platform = &tidewaiter.Platform{OS: "unknown", Architecture: "unknown"}
	m.Annotations = map[string]string{
		"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.Digest,
	}
	return m, nil
}

// configOf is the image config that stands in for one where an artifact pretends to be an image.
func configOf(layer Blob) []byte {
	return fmt.Appendf(nil, `{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, layer.Digest)
}
