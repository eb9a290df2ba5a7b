package engine_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// entry is one entry of a layer a test builds.
type entry struct {
	name string
	body string
	mode int64 // 0644 when 0
	kind byte  // a regular file when 0
	link string
}

// layerOf writes a layer's tar.
func layerOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Typeflag: e.kind, Linkname: e.link}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(e.body))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// zipped writes an archive of files, in the order of their names.
func zipped(t testing.TB, files map[string]string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func newEngine(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	o.Spool = t.TempDir()
	e, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// analyze reads a layer that is in order.
func analyze(t testing.TB, e *engine.Engine, entries ...entry) *tidewaiter.Analysis {
	t.Helper()
	b := layerOf(t, entries...)
	a, err := e.Analyze(t.Context(), digestOf(b), bytes.NewReader(gzipped(t, b)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// names lists an analysis' packages as type:name@version, with the path of the file.
func names(a *tidewaiter.Analysis) (list []string) {
	for _, inv := range a.Inventories {
		for _, p := range inv.Packages {
			list = append(list, fmt.Sprintf("%s %s:%s@%s", inv.Path, p.Type, p.Name, p.FullVersion()))
		}
	}
	return list
}

// installed lists a content's packages as name@version with the layer they come from.
func installed(c *tidewaiter.Content) (list []string) {
	for _, in := range c.Installed {
		list = append(list, fmt.Sprintf("%s@%s in %d", in.Package.Name, in.Package.FullVersion(), in.Layer))
	}
	return list
}
