package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// memoryLimit is what a server may take at its peak while it scans what is made to harm it.
const memoryLimit = 256 << 20

// TestHostileLayersStayInMemory scans them in a process of its own, several at a time, and looks at how large it became.
func TestHostileLayersStayInMemory(t *testing.T) {
	t.Parallel() // what is measured is a process of its own
	if testkit.UnderRace {
		t.Skip("the race detector takes memory of its own")
	}
	registry := testkit.Registry(t, testkit.Options{})
	faults := testkit.NewFaults(t, registry.URL, nil)
	want := map[string]tidewaiter.ErrorKind{"bad/entries:v1": tidewaiter.ErrTooLarge}
	for name, hostile := range hostileImages(t) {
		push(t, registry.URL, name, hostile.manifest, "v1")
		want[name+":v1"] = hostile.kind
		if hostile.corrupt {
			faults.Add(t, testkit.Fault{Path: hostile.manifest.Layers[0].Digest, Corrupt: true})
		}
	}
	c := childSettings{Data: t.TempDir(), Workers: 4, Advisories: []string{registry.Host + "/none:1"}}
	p := spawn(t, c)
	p.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []map[string]any{
		{"version": "2", "registry": faults.URL}, {"version": "2", "registry": entriesRegistry(t)},
	}})
	p.scanned(t)
	peak := peakMemory(t, p.cmd.Process.Pid)
	t.Logf("at most %d MiB", peak>>20)
	if peak > memoryLimit {
		t.Errorf("the server took %d MiB, more than %d", peak>>20, memoryLimit>>20)
	}
	p.terminate(t)

	rows := reopen(t, c).results(t)
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
	for name, kind := range want {
		row := rows[name]
		if row.Tag.ErrorKind != kind || (kind == "") != (row.Image != nil && row.Image.Judgement != nil) {
			t.Errorf("%s: %s %q, image %+v; want %q", name, row.Tag.ErrorKind, row.Tag.Error, row.Image, kind)
		}
	}
}

type hostileImage struct {
	manifest *samples.Manifest
	corrupt  bool                 // on its way
	kind     tidewaiter.ErrorKind // what it is refused with; "" when it is not
}

func hostileImages(t *testing.T) map[string]hostileImage {
	t.Helper()
	of := func(l samples.Layer, err error) *samples.Manifest {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return samples.NewImage().Add(l).MustBuild()
	}
	wrong, err := samples.WrongDiffID()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]hostileImage{
		"bad/bomb":      {of(samples.GzipBomb(64 << 30)), false, tidewaiter.ErrTooLarge},
		"bad/header":    {of(samples.HugeHeader(64 << 20)), false, tidewaiter.ErrMalformed},
		"bad/truncated": {of(samples.Truncated()), false, tidewaiter.ErrMalformed},
		"bad/garbage":   {of(samples.Garbage(), nil), false, tidewaiter.ErrMalformed},
		"bad/diffid":    {wrong, false, tidewaiter.ErrMalformed},
		"bad/digest":    {of(samples.NewLayer(samples.Gzip, samples.File("etc/hostname", "digest"))), true, tidewaiter.ErrMalformed},
		"good/escapes":  {of(samples.NewLayer(samples.Gzip, samples.Escapes()...)), false, ""},
	}
}

// The layer of ten million entries: five gigabytes that nobody has to store. Its digest is written down here, since it takes
// as long to find as the rest of the test.
const (
	entriesCount  = 10_000_000
	entriesSize   = entriesCount*512 + 1024
	entriesDigest = "sha256:5d98702a8751dbc415f511ea45af6a694b88f514d2505048c11c2496098cc964"
)

// entriesRegistry serves one image, whose layer is made while it is read.
func entriesRegistry(t *testing.T) string {
	t.Helper()
	layer := tidewaiter.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: entriesDigest, Size: entriesSize}
	config := samples.NewBlob("application/vnd.oci.image.config.v1+json",
		fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, entriesDigest))
	doc, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": config.Descriptor, "layers": []tidewaiter.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	manifest := samples.NewBlob("application/vnd.oci.image.manifest.v1+json", doc)
	serve := func(b samples.Blob) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", b.MediaType)
			w.Header().Set("Docker-Content-Digest", b.Digest)
			_, _ = w.Write(b.Data) // the client may have gone
		}
	}
	answer := func(text string) http.HandlerFunc {
		return serve(samples.NewBlob("application/json", []byte(text)))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/{$}", answer(`{}`))
	mux.HandleFunc("/v2/_catalog", answer(`{"repositories":["bad/entries"]}`))
	mux.HandleFunc("/v2/bad/entries/tags/list", answer(`{"name":"bad/entries","tags":["v1"]}`))
	mux.HandleFunc("/v2/bad/entries/manifests/", serve(manifest))
	mux.HandleFunc("/v2/bad/entries/blobs/"+config.Digest, serve(config))
	mux.HandleFunc("/v2/bad/entries/blobs/"+entriesDigest, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(entriesSize))
		_, _ = io.Copy(w, samples.Entries(entriesCount))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// peakMemory is the most of a process that was in memory at once, in bytes. Linux: proc_pid_status, VmHWM.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return kib << 10
	}
	t.Fatal("the system does not tell")
	return 0
}
