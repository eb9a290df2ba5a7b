package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// layer packs a layer while it is being written. Of its content only the packed form is kept, so that it may be large.
type layer struct {
	packed bytes.Buffer
	gzip   *gzip.Writer
	diffID hash.Hash
	tar    *tar.Writer
	size   int64 // of the files in it
	err    error // the first
}

func newLayer() *layer {
	l := &layer{diffID: sha256.New()}
	l.gzip = gzip.NewWriter(&l.packed)
	l.tar = tar.NewWriter(io.MultiWriter(l.gzip, l.diffID))
	return l
}

// file adds a regular file.
func (l *layer) file(name string, mode int64, content []byte) {
	if l.begin(name, mode, int64(len(content))) {
		_, l.err = l.tar.Write(content)
	}
}

// begin adds a regular file whose content the caller writes to l.tar. It reports whether that can be done.
func (l *layer) begin(name string, mode, size int64) bool {
	if l.err != nil {
		return false
	}
	l.size += size
	l.err = l.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size,
		ModTime: time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC)})
	return l.err == nil
}

// finish returns the layer and what its files take unpacked.
func (l *layer) finish(by string) (samples.Layer, int64, error) {
	for _, close := range []func() error{l.tar.Close, l.gzip.Close} {
		if l.err == nil {
			l.err = close()
		}
	}
	diffID := "sha256:" + hex.EncodeToString(l.diffID.Sum(nil))
	return samples.RawLayer(samples.Gzip, l.packed.Bytes(), diffID).By(by), l.size, l.err
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}
