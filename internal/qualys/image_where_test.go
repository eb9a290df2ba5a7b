package qualys_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// zoo is a set of images that differ in whatever filters ask about. It returns the registries' ids.
func zoo(c *console) []string {
	c.Helper()
	one := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.create(private("hub", "https://registry-1.docker.io", "u", "p"))
	c.seed("team/app:v1", "team/app:V1", "team/web:v1", "library/nginx:latest")
	c.must(c.store.Update(c.Context(), func(tx *store.Tx) error {
		rs, err := tx.RegistriesOf(c.Context(), "")
		if err != nil {
			return err
		}
		if err := c.seedImage(tx, rs[1], 4, "library/nginx", "latest"); err != nil {
			return err
		}
		waiting := seededImage(9)
		waiting.Layers[0].DiffID, waiting.Size, waiting.Platform.Architecture = digestOf(99), 77, "arm64"
		tag, err := c.seedTag(tx, rs[0], "team/new", "v2", waiting.Digest)
		if err != nil {
			return err
		}
		_, err = tx.IndexTag(c.Context(), store.IndexTag{TagID: tag, Digest: waiting.Digest, Images: []*tidewaiter.Image{waiting},
			Source: store.Source{RegistryID: one, Repository: "team/new"}, Analyzer: analyzer, Now: c.clock.Now()})
		return err
	}))
	rs, _, err := c.control.Registries(c.Context(), control.RegistryFilter{})
	c.must(err)
	return []string{rs[0].ID, rs[1].ID}
}

// TestFiltersOfImagesInTheDatabase makes sure that the condition the database is given lets through all that a filter does, and
// nothing else where it says so.
func TestFiltersOfImagesInTheDatabase(t *testing.T) {
	c := start(t)
	ids := zoo(c)
	terms := []string{
		"sha:" + hexOf(2000), "sha:sha256:" + hexOf(1001), "sha:*", "sha is null", "sha:[" + hexOf(2000) + "," + hexOf(2002) + "]", "sha:nothing",
		"imageId:" + hexOf(2000)[:12], "uuid:00000000-0000-8000-a000-000000000000", "uuid:x", "registryUuid:" + ids[0], "registryUuid:[" + ids[0] + "," + ids[1] + "]",
		"registryUuid is null", "registryUuid:*", `registryUri:"https://r.example.com"`, `registryUri:"https://R.example.com/"`, `registryUri:"r.example.com"`,
		`registryUri:"https://nowhere.example.com"`, `registryUri:"::"`, "registryUri:example", "registryUri:*docker*",
		"repo.registry:r.example.com", `repo.registry:"https://r.example.com"`, "repo.registry:*EXAMPLE*", "repo.registry:docker", "repo.registry:`docker.io`",
		`repo.repository:"team/app"`, `repo.repository:"Team/App"`, "repo.repository:`team/app`", "repo.repository:team", "repo.repository:team/*", "repo.repository:*app",
		`repo.repository:"nginx"`, "repo.repository:nginx", "repo.repository:ngi*", "repo.repository:*", "repo.repository:app", "repo.repository is null",
		`repo.tag:"v1"`, "repo.tag:`v1`", "repo.tag:v1", "repo.tag:v*", `repo.tag:"v*"`, "repo.tag:1", "operatingSystem:debian", "operatingSystem:Deb*", "operatingSystem is null",
		"architecture:amd64", `architecture:"AMD64"`, "architecture:`AMD64`", "architecture:a*", "scanStatus:SUCCESS", "scanStatus:success", "scanStatus is null",
		"scanStatus:[SUCCESS,FAILED]", "scanStatus:other", "source:REGISTRY", "source:GENERAL", "source:*",
		"created>0", "created:[2026-01-01 .. 2026-02-01]", "created:2026-01-02", "created<2026", "created is null", "updated:[1700000000 ..]", "updated>=1795176000000", "updated>1795176000000",
		"updated:[now-600s ... now]", "lastScanned is null", "not lastScanned is null", "lastScanned:(now-7d .. now)", "lastVmScanDate:*",
		"size:1234", "size>1000", "size:[0 .. 77]", "size is null", "vulnerabilities.severity:5", "vulnerabilities.severity:[4,3]", "vulnerabilities.severity<3",
		"vulnerabilities.severity is null", "imagesInUse:'[now-7d ... now]'", "imagesInUse is null",
	}
	check := func(t interface {
		Errorf(string, ...any)
		Fatal(...any)
	}, filter string) {
		byDatabase, byFilter, exact, err := qualys.ChosenImages(c.Context(), c.control, c.clock.Now, filter)
		if err != nil {
			t.Fatal(filter, err)
		}
		for _, id := range byFilter {
			if !slices.Contains(byDatabase, id) {
				t.Errorf("%s: the database leaves out image %d", filter, id)
			}
		}
		if exact && !cmp.Equal(byDatabase, byFilter) {
			t.Errorf("%s: the database says %v, the filter %v", filter, byDatabase, byFilter)
		}
	}
	for _, term := range terms {
		check(t, term)
		check(t, "NOT "+term)
	}
	rapid.Check(t, func(t *rapid.T) {
		var build func(depth int) string
		build = func(depth int) string {
			term := rapid.SampledFrom(terms).Draw(t, "term")
			if depth == 0 {
				return term
			}
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 0:
				return "(" + build(depth-1) + " AND " + build(depth-1) + ")"
			case 1:
				return "(" + build(depth-1) + " OR " + build(depth-1) + ")"
			case 2:
				return "NOT (" + build(depth-1) + ")"
			}
			return term
		}
		check(t, build(3))
	})
}

// TestFiltersTheDatabaseCarriesOut lists the filters clients really send: none of them may make the server look at images one by
// one.
func TestFiltersTheDatabaseCarriesOut(t *testing.T) {
	c := start(t)
	ids := zoo(c)
	for _, filter := range []string{
		`registryUri:"https://r.example.com"`, `repo.repository:"team/app"`, "sha:" + hexOf(2000), "sha:" + hexOf(2000) + " and lastScanned: [now-600s ... now]",
		"updated:[1700000000 ..]", "updated>1571077800000", "not lastScanned is null AND updated>1571077800000", "imagesInUse:'[now-7d ... now]'",
		"vulnerabilities.severity:5", "registryUuid:" + ids[0], `repo.registry:"r.example.com" AND repo.tag:"v1"`, "scanStatus:SUCCESS AND NOT repo.tag:v*",
	} {
		if _, _, exact, err := qualys.ChosenImages(t.Context(), c.control, c.clock.Now, filter); err != nil || !exact {
			t.Errorf("%s: %v", filter, err)
		}
	}
}
