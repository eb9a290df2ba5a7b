package samples_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	rpmdb "github.com/knqyf263/go-rpmdb/pkg"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

func catalogue(t *testing.T) []samples.Sample {
	t.Helper()
	list, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDigestsAreThoseOfTheContentAndTheSameEachTime(t *testing.T) {
	first, second := catalogue(t), catalogue(t)
	if len(first) < 12 {
		t.Fatalf("%d samples", len(first))
	}
	seen := map[string]bool{}
	for i, s := range first {
		if s.Manifest.Digest != second[i].Manifest.Digest {
			t.Errorf("%s: another digest the second time", s.Repository)
		}
		for _, tag := range s.Tags {
			if name := s.Repository + ":" + tag; seen[name] {
				t.Errorf("%s exists twice", name)
			} else {
				seen[name] = true
			}
		}
		for _, m := range append(s.Manifest.Images, s.Manifest) {
			for _, b := range append(m.Blobs, m.Blob) {
				if got := digest(b.Data); got != b.Digest || b.Size != int64(len(b.Data)) {
					t.Errorf("%s: %s is described as %s", s.Repository, got, b.Digest)
				}
			}
			for _, l := range m.Layers {
				if got := digest(unpack(t, l)); got != l.DiffID {
					t.Errorf("%s: layer %q unpacks to %s, not %s", s.Repository, l.CreatedBy, got, l.DiffID)
				}
			}
		}
	}
}

func TestImagesShareBaseLayers(t *testing.T) {
	list := catalogue(t)
	used := map[string]int{}
	for _, s := range list {
		for _, l := range s.Manifest.Layers {
			used[l.DiffID]++
		}
	}
	base := samples.Find(list, "library/debian", "bookworm").Manifest.Layers[0]
	if n := used[base.DiffID]; n < 5 {
		t.Errorf("the base layer of Debian is in %d images", n)
	}
}

func TestRPMDatabaseIsReadable(t *testing.T) {
	rocky := samples.Find(catalogue(t), "library/rockylinux", "9.3")
	path := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	if err := os.WriteFile(path, file(t, rocky.Manifest, "var/lib/rpm/rpmdb.sqlite"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := rpmdb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	list, err := db.ListPackages()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != len(rocky.Expect.Packages) {
		t.Fatalf("%d packages, want %d", len(list), len(rocky.Expect.Packages))
	}
	for _, p := range list {
		switch p.Name {
		case "bash":
			if p.Epoch != nil || p.Version != "5.1.8" || p.Release != "6.el9_1" || p.Arch != "x86_64" || p.Modularitylabel != "" {
				t.Errorf("bash is %+v", p)
			}
		case "nodejs":
			if p.Epoch == nil || *p.Epoch != 1 || !strings.HasPrefix(p.Modularitylabel, "nodejs:18:") || p.License != "MIT and ASL 2.0" ||
				!strings.HasPrefix(p.SourceRpm, "nodejs-18.18.2") || !strings.HasPrefix(p.Vendor, "Rocky") {
				t.Errorf("nodejs is %+v", p)
			}
			names, err := p.InstalledFileNames()
			if err != nil || len(names) != 2 || names[1] != "/usr/share/licenses/nodejs/LICENSE" {
				t.Errorf("files of nodejs: %q, %v", names, err)
			}
		}
	}
}

func TestGoProgramCarriesBuildInformation(t *testing.T) {
	api := samples.Find(catalogue(t), "shop/api", "2.3.0")
	for i, arch := range []string{"amd64", "arm64"} {
		info, err := buildinfo.Read(bytes.NewReader(file(t, api.Manifest.Images[i], "api")))
		if err != nil {
			t.Fatal(err)
		}
		if info.GoVersion != "go1.20.5" || info.Main.Path != "example.com/shop/api" || len(info.Deps) != 8 {
			t.Errorf("%s: %v", arch, info)
		}
		if len(info.Settings) == 0 || info.Settings[0].Value != arch {
			t.Errorf("settings %v, want %s", info.Settings, arch)
		}
	}
}

func TestEveryExpectedPackageIsDeclaredSomewhere(t *testing.T) {
	for _, s := range catalogue(t) {
		if len(s.Expect.Packages) == 0 && len(s.Manifest.Layers) > 0 {
			t.Errorf("%s expects no packages", s.Repository)
		}
		seen := map[samples.Package]bool{}
		for _, p := range s.Expect.Packages {
			if p.Name == "" || p.Version == "" || p.Ecosystem == "" || seen[p] {
				t.Errorf("%s: package %+v", s.Repository, p)
			}
			seen[p] = true
		}
	}
}

// file returns the content of name in the topmost layer that has it.
func file(t *testing.T, m *samples.Manifest, name string) []byte {
	t.Helper()
	var found []byte
	for _, l := range m.Layers {
		for r := tar.NewReader(bytes.NewReader(unpack(t, l))); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Name == name {
				if found, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if found == nil {
		t.Fatalf("no %s", name)
	}
	return found
}

func unpack(t *testing.T, l samples.Layer) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(l.Data)
	var err error
	switch l.Compression {
	case samples.Gzip:
		r, err = gzip.NewReader(r)
	case samples.Zstd:
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
