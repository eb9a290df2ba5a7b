package samples_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestPushedSamplesReadBackWithAnotherClient(t *testing.T) {
	s := testkit.Registry(t, testkit.Options{})
	var steps []samples.Step
	if err := samples.Push(t.Context(), s.URL, samples.Options{Progress: func(p samples.Step) { steps = append(steps, p) }}); err != nil {
		t.Fatal(err)
	}
	list := catalogue(t)
	if len(steps) != len(list)+1 || steps[len(steps)-1].Done != steps[0].Total {
		t.Errorf("%d steps for %d samples: %+v", len(steps), len(list), steps)
	}
	for _, sample := range list {
		for _, tag := range sample.Tags {
			ref, err := name.ParseReference(s.Host + "/" + sample.Repository + ":" + tag)
			if err != nil {
				t.Fatal(err)
			}
			got, err := remote.Get(ref)
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest.String() != sample.Manifest.Digest || string(got.MediaType) != sample.Manifest.MediaType {
				t.Errorf("%s is %s of type %s", ref, got.Digest, got.MediaType)
			}
			if sample.Expect.Kind != tidewaiter.ManifestImage || sample.Repository == "shop/search" {
				continue // the validation knows gzip only; for zstd there is a test of its own
			}
			img, err := got.Image()
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(img); err != nil {
				t.Errorf("%s: %v", ref, err)
			}
		}
	}
	ref, err := name.ParseReference(s.Host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Get(ref); err != nil {
		t.Error(err)
	}
	if err := samples.Push(t.Context(), s.URL, samples.Options{}); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestIndexListsItsPlatforms(t *testing.T) {
	s := testkit.Registry(t, testkit.Options{})
	api := samples.Find(catalogue(t), "shop/api", "latest")
	p, err := samples.NewPusher(s.URL, samples.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Push(t.Context(), api.Repository, api.Manifest, "latest"); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(s.Host + "/shop/api:latest")
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range m.Manifests {
		platforms = append(platforms, d.Platform.String())
	}
	if want := []string{"linux/amd64", "linux/arm64/v8", "unknown/unknown"}; !slices.Equal(platforms, want) {
		t.Errorf("platforms %q", platforms)
	}
	if got := m.Manifests[2].Annotations["vnd.docker.reference.digest"]; got != m.Manifests[0].Digest.String() {
		t.Errorf("the attestation is about %q", got)
	}
}

func TestPushSaysWhatWentWrong(t *testing.T) {
	open := testkit.Registry(t, testkit.Options{})
	locked := testkit.Registry(t, testkit.Options{Username: "ann", Password: "secret"})
	unknown := testkit.Registry(t, testkit.Options{TLS: testkit.TLSUnknownCA})
	faults := testkit.NewFaults(t, open.URL, nil)
	faults.Add(t, testkit.Fault{Path: "^/v2/a/", Status: http.StatusForbidden})
	faults.Add(t, testkit.Fault{Path: "^/v2/b/", Status: http.StatusTooManyRequests})
	faults.Add(t, testkit.Fault{Path: "^/v2/c/", Status: http.StatusServiceUnavailable})
	tests := map[string]struct {
		url, repository, password string
		insecure                  bool
		want                      tidewaiter.ErrorKind
	}{
		"well":             {url: open.URL},
		"with a password":  {url: locked.URL, password: "secret"},
		"wrong password":   {url: locked.URL, password: "wrong", want: tidewaiter.ErrAuth},
		"no password":      {url: locked.URL, want: tidewaiter.ErrAuth},
		"unknown CA":       {url: unknown.URL, want: tidewaiter.ErrTLS},
		"insecure":         {url: unknown.URL, insecure: true},
		"forbidden":        {url: faults.URL, repository: "a", want: tidewaiter.ErrDenied},
		"limited":          {url: faults.URL, repository: "b", want: tidewaiter.ErrLimit},
		"out of order":     {url: faults.URL, repository: "c", want: tidewaiter.ErrTransient},
		"nobody there":     {url: "http://127.0.0.1:1", want: tidewaiter.ErrUnreachable},
		"no URL":           {url: "registry.example.com", want: tidewaiter.ErrInvalid},
		"not a repository": {url: open.URL, repository: "UPPER", want: tidewaiter.ErrInvalid},
	}
	m := samples.NewImage().Layer(samples.File("hello", "world")).MustBuild()
	for label, tt := range tests {
		t.Run(label, func(t *testing.T) {
			o := samples.Options{Insecure: tt.insecure}
			if tt.password != "" {
				o.Username, o.Password = "ann", tt.password
			}
			p, err := samples.NewPusher(tt.url, o)
			if err == nil {
				err = p.Push(t.Context(), strings.TrimPrefix(tt.repository+"/x", "/"), m, "1")
			}
			if got := tidewaiter.KindOf(err); got != tt.want {
				t.Errorf("%q, want %q: %v", got, tt.want, err)
			}
			if err != nil && tt.password != "" && strings.Contains(err.Error(), tt.password+"@") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestRegistryServesZstdLayersAsTheyAre(t *testing.T) {
	search := samples.Find(catalogue(t), "shop/search", "2.0.0")
	s := testkit.Registry(t, testkit.Options{})
	p, err := samples.NewPusher(s.URL, samples.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Push(t.Context(), search.Repository, search.Manifest, "x"); err != nil {
		t.Fatal(err)
	}
	top := search.Manifest.Blobs[len(search.Manifest.Blobs)-1]
	if !strings.HasSuffix(top.MediaType, "+zstd") {
		t.Fatalf("type %s", top.MediaType)
	}
	resp, err := http.Get(s.URL + "/v2/shop/search/blobs/" + top.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || digest(b) != top.Digest {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
