// Package parity_test scans the sample images with Tidewaiter's engine and with the whole of Trivy, by the same
// advisories, and compares what they say.
package parity_test

import (
	"cmp"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"github.com/tidewaiter/tidewaiter/test/parity/trivy"
)

// fleet is the samples in a registry, and both scanners on the same advisories.
type fleet struct {
	host    string
	source  *oci.Registry
	samples []samples.Sample
	ours    scan.Direct
	theirs  *trivy.Scanner
}

// newFleet pushes the samples. Both scanners read the advisories the Matcher opened: Trivy's database is a global, which
// the Matcher sets.
func newFleet(t *testing.T, e samples.Edition) *fleet {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	f := &fleet{host: strings.TrimPrefix(server.URL, "http://")}
	pusher, err := samples.NewPusher(server.URL, samples.Options{})
	must(t, err)
	f.samples, err = samples.Catalogue(t.Context())
	must(t, err)
	for _, s := range f.samples {
		must(t, pusher.Push(t.Context(), s.Repository, s.Manifest, s.Tags...))
	}

	advisories := t.TempDir()
	must(t, samples.WriteAdvisories(advisories, samples.AdvisoryOptions{Edition: e}))
	matcher := engine.NewMatcher()
	must(t, matcher.Open(advisories, tidewaiter.Advisories{Version: "sample"}))
	t.Cleanup(func() { must(t, matcher.Close()) })
	analyzer, err := engine.New(engine.Options{Secrets: true})
	must(t, err)
	f.ours = scan.Direct{Engine: analyzer, Matcher: matcher, Rules: scan.DefaultRules(), Parallel: 1, Now: time.Now}
	f.theirs, err = trivy.New(trivy.Options{Secrets: true, Dir: t.TempDir()})
	must(t, err)

	client := oci.New(oci.Options{AllowLoopback: true})
	t.Cleanup(client.Close)
	f.source, err = client.Registry(oci.Endpoint{URL: server.URL})
	must(t, err)
	return f
}

// target is one image of a sample: an index is one for each platform.
type target struct {
	name       string // as the differences are listed
	repository string
	digest     string
	platform   *tidewaiter.Platform
}

// targets lists the images among the samples. Artifacts (charts, signatures, provenance) are none.
func (f *fleet) targets() []target {
	var list []target
	for _, s := range f.samples {
		members := s.Manifest.Images
		if len(members) == 0 {
			members = []*samples.Manifest{s.Manifest}
		}
		for _, m := range members {
			if len(m.Layers) == 0 || m.Platform == nil {
				continue
			}
			list = append(list, target{name: s.Repository + ":" + s.Tags[0] + " " + m.Platform.String(),
				repository: s.Repository, digest: m.Digest, platform: m.Platform})
		}
	}
	return list
}

func TestTrivySaysTheSame(t *testing.T) {
	for edition, name := range map[samples.Edition]string{samples.FirstEdition: "first", samples.SecondEdition: "second"} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, edition)
			targets := f.targets()
			if len(targets) < 12 {
				t.Fatalf("%d images among the samples", len(targets))
			}
			var findings int
			for _, target := range targets {
				t.Run(target.name, func(t *testing.T) {
					ours, theirs := f.scanOurs(t, target), f.scanTheirs(t, target)
					findings += len(theirs.Findings)
					compare(t, target.name, ours, theirs)
				})
			}
			if findings < 400 {
				t.Errorf("%d findings in all: there is nothing to compare", findings)
			}
		})
	}
}

// compare asserts that the differences are those that are explained, no more and no fewer.
func compare(t *testing.T, image string, ours, theirs trivy.Report) {
	t.Helper()
	want := explained()[image]
	got := differences(ours, theirs)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("differences from Trivy other than those explained (-explained +found):\n%s", diff)
	}
	t.Logf("%d packages, %d findings, %d secrets, %d differences explained",
		len(theirs.Packages), len(theirs.Findings), len(theirs.Secrets), len(want))
}

func (f *fleet) scanTheirs(t *testing.T, target target) trivy.Report {
	t.Helper()
	ref, err := name.NewDigest(f.host + "/" + target.repository + "@" + target.digest)
	must(t, err)
	img, err := remote.Image(ref, remote.WithContext(t.Context()),
		remote.WithPlatform(v1.Platform{OS: target.platform.OS, Architecture: target.platform.Architecture}))
	must(t, err)
	report, err := f.theirs.Scan(t.Context(), target.name, img)
	must(t, err)
	return report
}

func (f *fleet) scanOurs(t *testing.T, target target) trivy.Report {
	t.Helper()
	r, err := f.ours.Scan(context.Background(), f.source, target.repository, target.digest, target.platform)
	must(t, err)
	return inTrivysWords(r)
}

// inTrivysWords says a result as Trivy would.
func inTrivysWords(r *tidewaiter.Result) trivy.Report {
	out := trivy.Report{EndOfLife: r.Image.Judgement.EndOfLife}
	var family string
	if d := r.Content.Distribution; d != nil {
		family, out.Distribution = d.Family, d.Family+" "+d.Release
	}
	for _, i := range r.Content.Installed {
		kind := i.Package.Type
		if i.Package.Ecosystem.OS() {
			kind = family
		}
		p := trivy.Package{Type: kind, Name: i.Package.Name, Version: i.Package.FullVersion(),
			Path: strings.TrimPrefix(i.Path, "/")}
		out.Packages = append(out.Packages, p)
		for _, v := range r.Findings[i.Package.ID] {
			out.Findings = append(out.Findings, trivy.Finding{Package: p.Name, Version: p.Version,
				Vulnerability: v.Vulnerability, Severity: strings.ToUpper(v.Severity.String()), Fixed: v.FixedIn, Status: v.Status})
		}
	}
	for _, s := range r.Content.Secrets {
		out.Secrets = append(out.Secrets, trivy.Secret{Rule: s.Rule, Path: s.Path})
	}
	return out
}

func sorted[T cmp.Ordered](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
