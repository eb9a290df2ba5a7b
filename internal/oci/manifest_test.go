package oci_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// pushed starts a registry in this process with an image and an index of it.
func pushed(t *testing.T) (url string, image v1.Image, index v1.ImageIndex) {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(quiet()), registry.WithReferrersSupport(true)))
	t.Cleanup(s.Close)
	image, err := random.Image(2048, 3)
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.ConfigFile(image, configFile(t, image))
	if err != nil {
		t.Fatal(err)
	}
	index = mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}},
	})
	host := strings.TrimPrefix(s.URL, "http://")
	push(t, host+"/team/app:v1", image, nil)
	push(t, host+"/team/app:multi", nil, index)
	return s.URL, image, index
}

func push(t *testing.T, ref string, image v1.Image, index v1.ImageIndex) {
	t.Helper()
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if image != nil {
		err = remote.Write(r, image)
	} else {
		err = remote.WriteIndex(r, index)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func configFile(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Variant = "linux", "arm64", "v8"
	c.Created = v1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.Config = v1.Config{
		User: "nobody", Env: []string{"A=b"}, Entrypoint: []string{"/run"}, Labels: map[string]string{"l": "v"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "22/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "true"}},
	}
	return c
}

func TestReadingAnImageFromEndToEnd(t *testing.T) {
	url, image, index := pushed(t)
	r := open(t, local(t), oci.Endpoint{URL: url})
	ctx := t.Context()

	names, next, err := r.Repositories(ctx, "")
	if err != nil || next != "" || !slices.Equal(names, []string{"team/app"}) {
		t.Fatalf("repositories %v %q %v", names, next, err)
	}
	tags, _, err := r.Tags(ctx, "team/app", "")
	if slices.Sort(tags); err != nil || !slices.Equal(tags, []string{"multi", "v1"}) {
		t.Fatalf("tags %v %v", tags, err)
	}
	d, err := r.Head(ctx, "team/app", "multi")
	want, _ := index.Digest()
	size, _ := index.Size()
	if err != nil || d.Digest != want.String() || d.Size != size || d.MediaType != string(types.OCIImageIndex) {
		t.Fatalf("head %+v %v", d, err)
	}
	m, _, err := r.Manifest(ctx, "team/app", d.Digest)
	if err != nil || m.Kind != tidewaiter.ManifestIndex || len(m.Manifests) != 1 || m.Manifests[0].Platform.String() != "linux/arm64/v8" {
		t.Fatalf("index %+v %v", m, err)
	}
	m, raw, err := r.Manifest(ctx, "team/app", m.Manifests[0].Digest)
	wantRaw, _ := image.RawManifest()
	if err != nil || m.Kind != tidewaiter.ManifestImage || len(m.Layers) != 3 || string(raw) != string(wantRaw) || m.Size != int64(len(raw)) {
		t.Fatalf("image %+v %v", m, err)
	}
	c, _, err := r.Config(ctx, "team/app", m.Config)
	if err != nil {
		t.Fatal(err)
	}
	wantConfig := &oci.Config{
		Platform:  tidewaiter.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), DiffIDs: c.DiffIDs,
		Image: tidewaiter.ImageConfig{
			User: "nobody", Env: []string{"A=b"}, Entrypoint: []string{"/run"}, Labels: map[string]string{"l": "v"},
			ExposedPorts: []string{"22/tcp", "80/tcp"}, Volumes: []string{"/data"}, Healthcheck: []string{"CMD", "true"},
			History: c.Image.History, Author: c.Image.Author,
		},
	}
	if diff := cmp.Diff(wantConfig, c); diff != "" || len(c.DiffIDs) != 3 || len(c.Image.History) != 3 {
		t.Errorf("%d diffIDs, %d history: %s", len(c.DiffIDs), len(c.Image.History), diff)
	}
	for _, l := range m.Layers {
		b, err := r.Blob(ctx, "team/app", l)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, b); err != nil || n != l.Size {
			t.Errorf("layer %d bytes %v", n, err)
		}
		b.Close()
	}
	_, _, err = r.Manifest(ctx, "team/app", "nope")
	wantKind(t, err, tidewaiter.ErrGone, "manifest team/app:nope")
}

func TestReferrers(t *testing.T) {
	url, image, _ := pushed(t)
	host := strings.TrimPrefix(url, "http://")
	digest, _ := image.Digest()
	size, _ := image.Size()
	media, _ := image.MediaType()
	subject := v1.Descriptor{Digest: digest, Size: size, MediaType: media}
	sbom := mutate.Subject(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/spdx+json"), subject).(v1.Image)
	push(t, host+"/team/app:sbom", sbom, nil)
	want, _ := sbom.Digest()
	check := func(t *testing.T, url string) {
		t.Helper()
		got, err := open(t, local(t), oci.Endpoint{URL: url}).Referrers(t.Context(), "team/app", digest.String())
		if err != nil || len(got) != 1 || got[0].Digest != want.String() || got[0].ArtifactType != "application/spdx+json" {
			t.Fatalf("%+v %v", got, err)
		}
	}
	t.Run("api", func(t *testing.T) { check(t, url) })
	t.Run("tag", func(t *testing.T) {
		old := httptest.NewServer(registry.New(registry.Logger(quiet())))
		defer old.Close()
		host := strings.TrimPrefix(old.URL, "http://")
		push(t, host+"/team/app:v1", image, nil)
		got, err := open(t, local(t), oci.Endpoint{URL: old.URL}).Referrers(t.Context(), "team/app", digest.String())
		if err != nil || got != nil {
			t.Fatalf("none: %+v %v", got, err)
		}
		push(t, host+"/team/app:sbom", sbom, nil) // the pushing client writes the fallback tag
		check(t, old.URL)
	})
	t.Run("pages", func(t *testing.T) {
		entry := func(c string) string {
			return fmt.Sprintf(`{"manifests":[{"mediaType":"x","digest":"sha256:%s","size":1,"artifactType":"t"}]}`, strings.Repeat(c, 64))
		}
		n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			if r.URL.RawQuery == "p=2" {
				_, _ = io.WriteString(w, entry("b"))
				return
			}
			w.Header().Set("Link", `<https://evil.example.net/?p=2>; rel="next"`)
			_, _ = io.WriteString(w, entry("a"))
		})}}
		got, err := n.registry(t, oci.Endpoint{URL: home}).Referrers(t.Context(), "app", digest.String())
		if err != nil || len(got) != 2 {
			t.Fatalf("%+v %v", got, err)
		}
	})
}

const oneDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func entry(media string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":2}`, media, oneDigest)
}

const (
	imageConfig = "application/vnd.oci.image.config.v1+json"
	imageLayer  = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociImage    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
)

func manifestOf(config string, layers ...string) string {
	var l []string
	for _, media := range layers {
		l = append(l, entry(media))
	}
	return fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s]}`, entry(config), strings.Join(l, ","))
}

func TestParseManifest(t *testing.T) {
	for name, c := range map[string]struct {
		media, body string
		kind        tidewaiter.ManifestKind
		artifact    string
		err         tidewaiter.ErrorKind
	}{
		"image":               {ociImage, manifestOf(imageConfig, imageLayer), tidewaiter.ManifestImage, "", ""},
		"image, type guessed": {"application/json", manifestOf(imageConfig, imageLayer), tidewaiter.ManifestImage, "", ""},
		"image, docker": {"application/vnd.docker.distribution.manifest.v2+json", manifestOf("application/vnd.docker.container.image.v1+json",
			"application/vnd.docker.image.rootfs.diff.tar.gzip"), tidewaiter.ManifestImage, "", ""},
		"image without layers": {ociImage, manifestOf(imageConfig), tidewaiter.ManifestImage, "", ""},
		"signature":            {ociImage, manifestOf(imageConfig, "application/vnd.dev.cosign.simplesigning.v1+json"), tidewaiter.ManifestArtifact, "application/vnd.dev.cosign.simplesigning.v1+json", ""},
		"attestation":          {ociImage, manifestOf(imageConfig, "application/vnd.in-toto+json"), tidewaiter.ManifestArtifact, "application/vnd.in-toto+json", ""},
		"chart":                {ociImage, manifestOf("application/vnd.cncf.helm.config.v1+json", imageLayer), tidewaiter.ManifestArtifact, "application/vnd.cncf.helm.config.v1+json", ""},
		"old artifact":         {"application/vnd.oci.artifact.manifest.v1+json", `{"artifactType":"sbom","blobs":[` + entry("x") + `]}`, tidewaiter.ManifestArtifact, "sbom", ""},
		"index":                {ociIndex, `{"manifests":[` + entry(ociImage) + `]}`, tidewaiter.ManifestIndex, "", ""},
		"empty index":          {ociIndex, `{"manifests":[]}`, tidewaiter.ManifestIndex, "", ""},
		"index, type guessed":  {"", `{"manifests":[` + entry(ociImage) + `]}`, tidewaiter.ManifestIndex, "", ""},
		"schema 1":             {"application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"fsLayers":[]}`, "", "", tidewaiter.ErrUnsupported},
		"schema 1 in disguise": {ociImage, `{"schemaVersion":1,"fsLayers":[]}`, "", "", tidewaiter.ErrUnsupported},
		"both at once":         {ociImage, `{"manifests":[],"config":` + entry(imageConfig) + `}`, "", "", tidewaiter.ErrMalformed},
		"type confusion":       {ociIndex, manifestOf(imageConfig, imageLayer), "", "", tidewaiter.ErrMalformed},
		"two types":            {ociIndex, `{"mediaType":"` + ociImage + `","manifests":[]}`, "", "", tidewaiter.ErrMalformed},
		"bad digest":           {ociImage, `{"config":{"digest":"sha256:../../x","size":1}}`, "", "", tidewaiter.ErrMalformed},
		"negative size":        {ociIndex, `{"manifests":[{"digest":"` + oneDigest + `","size":-1}]}`, "", "", tidewaiter.ErrMalformed},
		"no config":            {ociImage, `{"layers":[]}`, "", "", tidewaiter.ErrMalformed},
		"nothing":              {"", `{}`, "", "", tidewaiter.ErrMalformed},
		"unknown":              {"", `{"mediaType":"application/x"}`, "", "", tidewaiter.ErrUnsupported},
		"web page":             {"text/html", `<html>`, "", "", tidewaiter.ErrMalformed},
		"too many layers":      {ociImage, manifestOf(imageConfig, slices.Repeat([]string{imageLayer}, 2000)...), "", "", tidewaiter.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := oci.ParseManifest([]byte(c.body), c.media)
			wantKind(t, err, c.err)
			if err == nil && (m.Kind != c.kind || m.ArtifactType != c.artifact) {
				t.Errorf("%s %q, want %s %q", m.Kind, m.ArtifactType, c.kind, c.artifact)
			}
		})
	}
}

func TestManifestIsVerified(t *testing.T) {
	body := manifestOf(imageConfig, imageLayer)
	serve := func(header, body string) *network {
		return &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Docker-Content-Digest", header)
			}
			w.Header().Set("Content-Type", ociImage)
			_, _ = io.WriteString(w, body)
		})}}
	}
	right := describe([]byte(body)).Digest
	for name, c := range map[string]struct {
		header, reference string
		kind              tidewaiter.ErrorKind
	}{
		"by tag": {right, "v1", ""}, "by tag, no header": {"", "v1", ""}, "by digest": {"", right, ""},
		"header lies": {oneDigest, "v1", tidewaiter.ErrMalformed}, "content lies": {oneDigest, oneDigest, tidewaiter.ErrMalformed},
		"header nonsense": {"nonsense", "v1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, err := serve(c.header, body).registry(t, oci.Endpoint{URL: home}).Manifest(t.Context(), "app", c.reference)
			wantKind(t, err, c.kind)
			if err == nil && m.Digest != right {
				t.Errorf("digest %s", m.Digest)
			}
		})
	}
	_, err := serve(right, body).registry(t, oci.Endpoint{URL: home}).Head(t.Context(), "app", oneDigest)
	wantKind(t, err, tidewaiter.ErrMalformed)
	d, err := serve("", body).registry(t, oci.Endpoint{URL: home}).Head(t.Context(), "app", "v1") // falls back to GET
	if err != nil || d.Digest != right || d.Size != int64(len(body)) || d.MediaType != ociImage {
		t.Errorf("%+v %v", d, err)
	}
	_, _, err = serve("", strings.Repeat(" ", 9<<20)).registry(t, oci.Endpoint{URL: home}).Manifest(t.Context(), "app", "v1")
	wantKind(t, err, tidewaiter.ErrTooLarge)
}

func TestHeadWhereOnlyGetIsAllowed(t *testing.T) {
	body := manifestOf(imageConfig)
	n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		for _, media := range []string{ociImage, ociIndex, "manifest.v2+json", "manifest.list.v2+json"} {
			if !strings.Contains(r.Header.Get("Accept"), media) {
				t.Errorf("Accept lacks %s", media)
			}
		}
		_, _ = io.WriteString(w, body)
	})}}
	if d, err := n.registry(t, oci.Endpoint{URL: home}).Head(t.Context(), "app", "v1"); err != nil || d.Digest != describe([]byte(body)).Digest {
		t.Errorf("%+v %v", d, err)
	}
}

func TestNamesThatMustNotBecomePaths(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{}}
	r := n.registry(t, oci.Endpoint{URL: home})
	for _, bad := range []string{"", "../x", "a/../b", "a//b", "/a", "a/", "a?b", "a#b", "a%2fb", "a b", "a\n", ".", strings.Repeat("a", 600)} {
		_, _, err := r.Tags(t.Context(), bad, "")
		wantKind(t, err, tidewaiter.ErrInvalid)
		_, err = r.Blob(t.Context(), bad, describe(nil))
		wantKind(t, err, tidewaiter.ErrInvalid)
		if bad != "a/" {
			_, err = r.Head(t.Context(), "app", bad)
			wantKind(t, err, tidewaiter.ErrInvalid)
		}
	}
	if got := n.requests(""); got != nil {
		t.Error(got)
	}
}

func TestOddConfigs(t *testing.T) {
	c, err := oci.ParseConfig([]byte(`{"created":"yesterday","config":{"Entrypoint":"/bin/sh -c x","Cmd":null},"history":[{"created":7}],"rootfs":null}`))
	if err != nil || !c.CreatedAt.IsZero() || !slices.Equal(c.Image.Entrypoint, []string{"/bin/sh -c x"}) || c.Image.Cmd != nil {
		t.Errorf("%+v %v", c, err)
	}
	for _, bad := range []string{``, `[]`, `{"rootfs":{"diff_ids":["x"]}}`, `{"config":{"Env":7}}`} {
		_, err := oci.ParseConfig([]byte(bad))
		wantKind(t, err, tidewaiter.ErrMalformed)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(manifestOf(imageConfig, imageLayer)), ociImage)
	f.Add([]byte(`{"manifests":[`+entry(ociImage)+`]}`), ociIndex)
	f.Add([]byte(`{"schemaVersion":1}`), "")
	f.Fuzz(func(t *testing.T, raw []byte, media string) {
		m, err := oci.ParseManifest(raw, media)
		if (m == nil || m.Kind == "") && err == nil || err != nil && tidewaiter.KindOf(err) == tidewaiter.ErrBug {
			t.Fatalf("%+v %v", m, err)
		}
	})
}
