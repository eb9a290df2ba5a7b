package samples_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/aquasecurity/trivy/pkg/fanal/secret"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

func TestImagesContinuedFromOneBaseDoNotShareChanges(t *testing.T) {
	base := samples.NewImage().Layer(samples.File("base", "")).Config("ENV A=1", func(c *samples.Config) {
		c.Env = append(make([]string, 0, 10), "A=1")
	})
	left := base.Layer(samples.File("left", "")).Config("", func(c *samples.Config) { c.Env = append(c.Env, "L=1") })
	right := base.Layer(samples.File("right", "")).Config("", func(c *samples.Config) { c.Env = append(c.Env, "R=1") })
	for name, i := range map[string]samples.Image{"left": left, "right": right} {
		m := i.MustBuild()
		if len(m.Layers) != 2 || m.Layers[0].DiffID != base.MustBuild().Layers[0].DiffID {
			t.Errorf("%s: %d layers", name, len(m.Layers))
		}
	}
	if got := config(t, left.MustBuild()).Config.Env; !slices.Equal(got, []string{"A=1", "L=1"}) {
		t.Errorf("left has %q", got)
	}
}

func TestConfigAndHistoryAgreeWithLayers(t *testing.T) {
	i := samples.NewImage().Platform("linux", "arm", "v7").
		Step("ADD root", samples.Dir("a"), samples.Symlink("b", "a"), samples.Hardlink("d", "c")).
		Config("USER app", func(c *samples.Config) {
			c.User, c.Healthcheck = "app", &samples.Healthcheck{Test: []string{"CMD", "true"}}
		}).
		Layer(samples.Whiteout("a/x"), samples.Opaque("q"))
	c := config(t, i.MustBuild())
	if c.Architecture != "arm" || c.Variant != "v7" || c.Config.User != "app" || c.Config.Healthcheck == nil || len(c.RootFS.DiffIDs) != 2 {
		t.Errorf("%+v", c)
	}
	if len(c.History) != 3 || !c.History[1].EmptyLayer || c.History[0].CreatedBy != "ADD root" {
		t.Errorf("history %+v", c.History)
	}
	if n := len(config(t, i.WithoutHistory().MustBuild()).History); n != 0 {
		t.Errorf("%d history entries without history", n)
	}
	names := names(t, i.MustBuild().Layers[1])
	if want := []string{"a/.wh.x", "q/.wh..wh..opq"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestDockerImagesHaveNoZstdLayers(t *testing.T) {
	l, err := samples.NewLayer(samples.Zstd, samples.File("a", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := samples.NewImage().Add(l).Docker().Build(); err == nil {
		t.Error("no error")
	}
	if _, err := samples.NewImage().Layer(samples.File("nul\x00", "")).Build(); err == nil {
		t.Error("no error for a name with a NUL")
	}
	if _, err := samples.NewLayer("lzma"); err == nil {
		t.Error("no error for an unknown packing")
	}
}

// TestLeakedCredentialsAreRecognised asks rules that are not ours.
func TestLeakedCredentialsAreRecognised(t *testing.T) {
	leaky := samples.Find(catalogue(t), "ops/leaky", "1.0")
	scanner := secret.NewScanner(nil)
	rules := map[string]bool{}
	for _, name := range []string{"srv/deploy/aws.env", "srv/deploy/id_ed25519"} {
		for _, f := range scanner.Scan(secret.ScanArgs{FilePath: name, Content: bytes.NewReader(file(t, leaky.Manifest, name))}).Findings {
			rules[f.RuleID] = true
		}
	}
	for _, want := range leaky.Expect.Secrets {
		if !rules[want] {
			t.Errorf("%s is not found, only %v", want, rules)
		}
	}
	if len(rules) != len(leaky.Expect.Secrets) {
		t.Errorf("found %v", rules)
	}
	for _, s := range catalogue(t) {
		if s.Repository == "ops/leaky" || len(s.Expect.Secrets) > 0 {
			continue
		}
		for _, l := range s.Manifest.Layers {
			if f := scanner.Scan(secret.ScanArgs{FilePath: "layer", Content: bytes.NewReader(unpack(t, l)), Binary: true}).Findings; len(f) > 0 {
				t.Errorf("%s: %s", s.Repository, f[0].RuleID)
			}
		}
	}
}

func config(t *testing.T, m *samples.Manifest) *v1.ConfigFile {
	t.Helper()
	var c v1.ConfigFile
	if err := json.Unmarshal(m.Blobs[0].Data, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}
