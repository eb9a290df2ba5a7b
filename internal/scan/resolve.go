package scan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxLayers bounds an image. The largest images built have a few hundred layers.
const maxLayers = 1000

// Resolver finds the images behind a tag or digest.
type Resolver struct {
	Source Source
	// Manifest and Image return what is known already, or nil; both may be nil functions.
	Manifest func(ctx context.Context, digest string) (*tidewaiter.Manifest, error)
	Image    func(ctx context.Context, digest string) (*tidewaiter.Image, error)
}

// Resolved is what a reference led to.
type Resolved struct {
	Digest    string
	Kind      tidewaiter.ManifestKind
	Manifests []*tidewaiter.Manifest // fetched on the way, top first
	Images    []*tidewaiter.Image    // with layers and config; none for an artifact
	// Configs holds the raw configuration of the images that were fetched, by image digest.
	Configs map[string][]byte
	// Skipped names the platforms of an index that were left out.
	Skipped []string
}

// Resolve follows a reference to its images. Out of an index it takes those for the platforms wanted; with none wanted,
// linux/amd64, or the first image when there is none for that.
func (r *Resolver) Resolve(ctx context.Context, repository, reference string, want []tidewaiter.Platform) (*Resolved, error) {
	res := &Resolved{Configs: map[string][]byte{}}
	top, err := r.manifest(ctx, res, repository, reference)
	if err != nil {
		return nil, err
	}
	res.Digest, res.Kind = top.Digest, top.Kind
	switch top.Kind {
	case tidewaiter.ManifestImage:
		img, err := r.image(ctx, res, repository, top)
		if err != nil {
			return nil, err
		}
		res.Images = append(res.Images, img)
	case tidewaiter.ManifestIndex:
		chosen, skipped := choose(top.Manifests, want)
		res.Skipped = skipped
		for _, d := range chosen {
			m, err := r.manifest(ctx, res, repository, d.Digest)
			if err != nil {
				return nil, fmt.Errorf("image for %s: %w", d.Platform, err)
			}
			if m.Kind != tidewaiter.ManifestImage {
				continue // an index may hold artifacts, and other indexes; neither is an image for a platform
			}
			img, err := r.image(ctx, res, repository, m)
			if err != nil {
				return nil, err
			}
			res.Images = append(res.Images, img)
		}
		if len(res.Images) == 0 && len(skipped) == 0 {
			res.Kind = tidewaiter.ManifestArtifact // an index of signatures or charts
		}
	}
	return res, nil
}

func (r *Resolver) manifest(ctx context.Context, res *Resolved, repository, reference string) (*tidewaiter.Manifest, error) {
	if r.Manifest != nil && strings.Contains(reference, ":") {
		if m, err := r.Manifest(ctx, reference); err != nil || m != nil {
			return m, err
		}
	}
	m, _, err := r.Source.Manifest(ctx, repository, reference)
	if err != nil {
		return nil, err
	}
	res.Manifests = append(res.Manifests, m)
	return m, nil
}

func (r *Resolver) image(ctx context.Context, res *Resolved, repository string, m *tidewaiter.Manifest) (*tidewaiter.Image, error) {
	if r.Image != nil {
		if img, err := r.Image(ctx, m.Digest); err != nil || img != nil {
			return img, err
		}
	}
	config, raw, err := r.Source.Config(ctx, repository, m.Config)
	if err != nil {
		return nil, fmt.Errorf("config of image %s: %w", m.Digest, err)
	}
	res.Configs[m.Digest] = raw
	return buildImage(m, config)
}

// choose picks the descriptors of an index to look at. Attestations hang in an index as images for "unknown/unknown".
func choose(all []tidewaiter.Descriptor, want []tidewaiter.Platform) (chosen []tidewaiter.Descriptor, skipped []string) {
	var images []tidewaiter.Descriptor
	for _, d := range all {
		if d.Platform == nil {
			d.Platform = &tidewaiter.Platform{OS: "linux", Architecture: "amd64"}
		}
		if d.Platform.OS == "unknown" || d.Annotations["vnd.docker.reference.type"] != "" {
			continue
		}
		images = append(images, d)
	}
	wanted := want
	if len(want) == 0 {
		wanted = []tidewaiter.Platform{{OS: "linux", Architecture: "amd64"}}
	}
	for _, d := range images {
		if covers(wanted, *d.Platform) {
			chosen = append(chosen, d)
		} else {
			skipped = append(skipped, d.Platform.String())
		}
	}
	if len(chosen) == 0 && len(want) == 0 && len(images) > 0 {
		return images[:1], skipped[1:]
	}
	return chosen, skipped
}

func covers(want []tidewaiter.Platform, p tidewaiter.Platform) bool {
	return slices.ContainsFunc(want, p.Matches)
}

// buildImage puts a manifest and its config together. OCI image-spec: the layers of the manifest and the diff ids of the
// config stand in the same order, and the history entries that are not empty belong to them one by one.
func buildImage(m *tidewaiter.Manifest, c *oci.Config) (*tidewaiter.Image, error) {
	if len(m.Layers) != len(c.DiffIDs) {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "image %s has %d layers but its config names %d",
			m.Digest, len(m.Layers), len(c.DiffIDs))
	}
	if len(m.Layers) > maxLayers {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "image %s has %d layers, the limit is %d", m.Digest, len(m.Layers), maxLayers)
	}
	img := &tidewaiter.Image{
		Digest: m.Digest, ConfigDigest: m.Config.Digest, MediaType: m.MediaType, Platform: c.Platform,
		CreatedAt: c.CreatedAt, Config: c.Image, State: tidewaiter.ImageWaiting,
	}
	var steps []tidewaiter.HistoryEntry
	for _, h := range c.Image.History {
		if !h.EmptyLayer {
			steps = append(steps, h)
		}
	}
	for i, l := range m.Layers {
		ref := tidewaiter.LayerRef{Digest: l.Digest, DiffID: c.DiffIDs[i], MediaType: l.MediaType, Size: l.Size}
		if len(steps) == len(m.Layers) {
			ref.CreatedAt, ref.CreatedBy = steps[i].CreatedAt, steps[i].CreatedBy
		}
		img.Layers = append(img.Layers, ref)
		img.Size += l.Size
	}
	return img, nil
}
