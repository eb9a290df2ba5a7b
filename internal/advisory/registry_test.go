package advisory_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const layerType = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"

// testRegistry is a registry in this process, read through the smallest of clients.
type testRegistry struct {
	host      string
	manifests atomic.Int64                        // requests
	blobs     atomic.Int64                        // requests
	damage    atomic.Pointer[func([]byte) []byte] // applied to blobs on their way
	gate      atomic.Pointer[chan struct{}]       // manifests wait until it is closed
	waiting   chan struct{}                       // told of every manifest that waits
}

func newRegistry(t testing.TB) *testRegistry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return &testRegistry{host: strings.TrimPrefix(server.URL, "http://"), waiting: make(chan struct{}, 100)}
}

// push makes an artifact of one layer and returns its reference.
func (r *testRegistry) push(t testing.TB, mediaType string, layer []byte) string {
	t.Helper()
	reference := r.host + "/security/trivy-db:2"
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(layer, types.MediaType(mediaType)))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return reference
}

func (r *testRegistry) Manifest(ctx context.Context, reference string) (*tidewaiter.Manifest, error) {
	r.manifests.Add(1)
	if gate := r.gate.Load(); gate != nil {
		r.waiting <- struct{}{}
		select {
		case <-*gate:
		case <-ctx.Done():
			return nil, tidewaiter.Errorf(tidewaiter.ErrCanceled, "%w", ctx.Err())
		}
	}
	host, path, _ := strings.Cut(reference, "/")
	repository, tag, _ := strings.Cut(path, ":")
	raw, err := get(ctx, fmt.Sprintf("http://%s/v2/%s/manifests/%s", host, repository, tag))
	if err != nil {
		return nil, err
	}
	m := tidewaiter.Manifest{Kind: tidewaiter.ManifestArtifact}
	return &m, json.Unmarshal(raw, &m)
}

func (r *testRegistry) Blob(ctx context.Context, reference string, d tidewaiter.Descriptor) (io.ReadCloser, error) {
	r.blobs.Add(1)
	host, path, _ := strings.Cut(reference, "/")
	repository, _, _ := strings.Cut(path, ":")
	raw, err := get(ctx, fmt.Sprintf("http://%s/v2/%s/blobs/%s", host, repository, d.Digest))
	if damage := r.damage.Load(); damage != nil && err == nil {
		raw = (*damage)(raw)
	}
	return io.NopCloser(bytes.NewReader(raw)), err
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnreachable, "%w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, tidewaiter.Errorf(tidewaiter.ErrGone, "%s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// entry is one entry of an archive; a directory when the name ends in a slash.
type entry struct {
	name, content string
	kind          byte
}

var built = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

func metadata(schema int) string {
	return fmt.Sprintf(`{"Version":%d,"UpdatedAt":%q,"NextUpdate":%q,"DownloadedAt":"0001-01-01T00:00:00Z"}`,
		schema, built.Format(time.RFC3339), built.Add(24*time.Hour).Format(time.RFC3339))
}

// database is an archive's usual content; what is in trivy.db tells versions apart.
func database(content string) []entry {
	return []entry{{name: "trivy.db", content: content}, {name: "metadata.json", content: metadata(2)}}
}

func tarred(t testing.TB, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.kind != 0 {
			h.Typeflag = e.kind
		}
		if e.kind == tar.TypeSymlink || e.kind == tar.TypeLink {
			h.Linkname, h.Size = e.content, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, e.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func packed(t testing.TB, content string) []byte { return gzipped(t, tarred(t, database(content))) }
