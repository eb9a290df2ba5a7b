package scan_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// TestDirectPullsLayersSideBySide scans an image of many small layers, of which one comes twice.
func TestDirectPullsLayersSideBySide(t *testing.T) {
	const layers = 40
	image := samples.NewImage()
	step := func(i int) {
		image = image.Step(fmt.Sprint("step ", i), samples.File(fmt.Sprintf("app/%d/node_modules/p-%d/package.json", i, i), fmt.Sprintf(`{"name":"p-%d","version":"1.0.0"}`, i)))
	}
	for i := range layers {
		step(i)
	}
	step(0)
	registry := testkit.Registry(t, testkit.Options{})
	push, err := samples.NewPusher(registry.URL, samples.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := image.MustBuild()
	if err := push.Push(t.Context(), "team/app", m, "v1"); err != nil {
		t.Fatal(err)
	}
	client := oci.New(oci.Options{AllowLoopback: true})
	defer client.Close()
	source, err := client.Registry(oci.Endpoint{URL: registry.URL})
	if err != nil {
		t.Fatal(err)
	}
	analyzer, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var bytes atomic.Int64
	direct := scan.Direct{Engine: analyzer, Matcher: engine.NewMatcher(), Rules: scan.DefaultRules(), Parallel: 4, Now: time.Now,
		Progress: func(_ int, n int64) { bytes.Add(n) }}
	result, err := direct.Scan(t.Context(), source, "team/app", "v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, in := range result.Content.Installed {
		found[in.Package.Name] = true
	}
	if len(found) != layers {
		t.Errorf("%d packages, want %d: %v", len(found), layers, found)
	}
	want := int64(0)
	for _, l := range m.Layers[:layers] {
		want += int64(len(l.Data))
	}
	if got := bytes.Load(); got != want {
		t.Errorf("%d bytes were pulled, want %d: each layer once", got, want)
	}
}
