package samples

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Compression is how a layer's tar archive is packed.
type Compression string

// The ways to pack a layer. Registries see gzip nearly always; zstd exists in OCI manifests only.
const (
	Gzip   Compression = "gzip"
	Zstd   Compression = "zstd"
	Stored Compression = "stored"
)

// Layer is a packed tar archive with the two digests it is known by.
type Layer struct {
	Digest      string // of Data: what a manifest names and a client pulls
	DiffID      string // of the tar archive: what an image's config names
	Data        []byte // as a registry holds it
	Compression Compression
	CreatedBy   string // the build step, for the image's history
}

// NewLayer packs entries in the order given.
func NewLayer(packing Compression, entries ...Entry) (Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			return Layer{}, fmt.Errorf("write entry %q: %w", e.header.Name, err)
		}
		if _, err := w.Write(e.content); err != nil {
			return Layer{}, fmt.Errorf("write entry %q: %w", e.header.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return Layer{}, fmt.Errorf("finish archive: %w", err)
	}
	data, err := pack(packing, archive.Bytes())
	if err != nil {
		return Layer{}, err
	}
	return RawLayer(packing, data, digestOf(archive.Bytes())), nil
}

// RawLayer is a layer of any bytes, with any claim about what they unpack to.
func RawLayer(packing Compression, data []byte, diffID string) Layer {
	return Layer{Digest: digestOf(data), DiffID: diffID, Data: data, Compression: packing}
}

// By returns the layer with the build step an image's history shows for it.
func (l Layer) By(step string) Layer {
	l.CreatedBy = step
	return l
}

func pack(packing Compression, b []byte) ([]byte, error) {
	switch packing {
	case Stored:
		return b, nil
	case Zstd:
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("pack with zstd: %w", err)
		}
		defer w.Close()
		return w.EncodeAll(b, nil), nil
	case Gzip:
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(b); err != nil {
			return nil, fmt.Errorf("pack with gzip: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("pack with gzip: %w", err)
		}
		return out.Bytes(), nil
	}
	return nil, fmt.Errorf("no way to pack a layer is called %q", packing)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
