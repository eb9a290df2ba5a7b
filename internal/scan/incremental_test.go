package scan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// advisoryFile is the content of a small advisory database: values by path. The last step of a path is a key, the ones
// before it are buckets.
type advisoryFile map[string]string

func path(steps ...string) string {
	b, _ := json.Marshal(steps) // strings can always be written
	return string(b)
}

func (f advisoryFile) write(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "trivy.db"), 0o600, &bolt.Options{NoSync: true})
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error {
			if _, err := tx.CreateBucketIfNotExists([]byte("vulnerability")); err != nil {
				return err
			}
			for _, key := range slices.Sorted(maps.Keys(f)) {
				var steps []string
				if err := json.Unmarshal([]byte(key), &steps); err != nil {
					return err
				}
				b, err := tx.CreateBucketIfNotExists([]byte(steps[0]))
				for _, name := range steps[1 : len(steps)-1] {
					if err == nil {
						b, err = b.CreateBucketIfNotExists([]byte(name))
					}
				}
				if err == nil {
					err = b.Put([]byte(steps[len(steps)-1]), []byte(f[key]))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const rhelRepository = "rhel-9-for-x86_64-baseos-rpms"

// universe is packages of every sort whose names advisories write differently from the packages themselves.
func universe() []*tidewaiter.Package {
	os := func(e tidewaiter.Ecosystem, family, release, name, source string) *tidewaiter.Package {
		return &tidewaiter.Package{Ecosystem: e, Distribution: tidewaiter.Distribution{Family: family, Release: release}, Name: name, Source: source,
			Version: "1.0", Release: "1", Arch: "x86_64", Repository: "official"}
	}
	list := []*tidewaiter.Package{
		os(tidewaiter.EcosystemDeb, "debian", "12.5", "libssl3", "openssl"), os(tidewaiter.EcosystemDeb, "debian", "12.5", "zlib1g", "zlib"),
		os(tidewaiter.EcosystemDeb, "debian", "11.1", "libssl1.1", "openssl"), os(tidewaiter.EcosystemAPK, "alpine", "3.20.1", "openssl", "openssl"),
		os(tidewaiter.EcosystemRPM, "alma", "9.4", "npm", "nodejs"), os(tidewaiter.EcosystemRPM, "redhat", "9.4", "bash", "bash"),
		os(tidewaiter.EcosystemRPM, "redhat", "9.4", "zlib", "zlib"),
	}
	list[4].Modularity = "nodejs:18:9020020230327152102:rhel9"
	for _, p := range [][3]string{{"npm", "node-pkg", "left-pad"}, {"npm", "node-pkg", "Event-Stream"}, {"pypi", "python-pkg", "Zope_Interface"},
		{"pypi", "python-pkg", "requests"}, {"golang", "gobinary", "github.com/a/B"}, {"maven", "jar", "org.a:b"}, {"nuget", "dotnet-core", "Newtonsoft.Json"}} {
		list = append(list, &tidewaiter.Package{Ecosystem: tidewaiter.Ecosystem(p[0]), Type: p[1], Name: p[2], Version: "1.0.0"})
	}
	return list
}

// places are where advisories of the universe's packages stand.
var places = [][2]string{{"debian 12", "openssl"}, {"debian 12", "zlib"}, {"debian 11", "openssl"}, {"debian 12", "of nobody"}, {"alpine 3.20", "openssl"},
	{"alma 9", "nodejs:18::npm"}, {"Red Hat", "bash"}, {"Red Hat", "zlib"}, {"npm::Hub", "left-pad"}, {"npm::Other", "left-pad"}, {"npm::Hub", "event-stream"},
	{"pip::Hub", "zope-interface"}, {"pip::Hub", "requests"}, {"go::Hub", "github.com/a/B"}, {"maven::Hub", "org.a:b"}, {"nuget::Hub", "newtonsoft.json"}}

// change draws one change of a database.
func (f advisoryFile) change(t *rapid.T) {
	id := fmt.Sprintf("CVE-2024-%04d", rapid.IntRange(1, 8).Draw(t, "vulnerability"))
	fix := fmt.Sprintf("%d.0", rapid.IntRange(1, 3).Draw(t, "fix"))
	switch rapid.SampledFrom([]string{"put", "put", "put", "put", "remove", "remove", "describe", "describe", "forget", "source", "repository"}).Draw(t, "change") {
	case "put":
		p := rapid.SampledFrom(places).Draw(t, "place")
		switch value := fmt.Sprintf(`{"FixedVersion":%q}`, fix); {
		case p[0] == "Red Hat":
			cpe := rapid.IntRange(0, 1).Draw(t, "cpe")
			f[path(p[0], p[1], id)] = fmt.Sprintf(`{"Entries":[{"FixedVersion":%q,"Affected":[%d],"Cves":[{"Severity":3}]}]}`, fix, cpe)
		case len(p[0]) > 5 && slices.Contains([]string{"npm::Hub", "npm::Other", "pip::Hub", "go::Hub", "maven::Hub", "nuget::Hub"}, p[0]):
			f[path(p[0], p[1], id)] = fmt.Sprintf(`{"PatchedVersions":[%q],"VulnerableVersions":["<%s"]}`, fix+".0", fix+".0")
		default:
			f[path(p[0], p[1], id)] = value
		}
	case "remove":
		p := rapid.SampledFrom(places).Draw(t, "place")
		delete(f, path(p[0], p[1], id))
	case "describe":
		f[path("vulnerability", id)] = fmt.Sprintf(`{"Title":"t%d","Severity":%q,"VendorSeverity":{"nvd":%d,"debian":%d},"CVSS":{"nvd":{"V3Score":%d}}}`,
			rapid.IntRange(0, 1).Draw(t, "title"), rapid.SampledFrom([]string{"LOW", "HIGH"}).Draw(t, "severity"),
			rapid.IntRange(1, 4).Draw(t, "nvd"), rapid.IntRange(1, 4).Draw(t, "debian"), rapid.IntRange(1, 9).Draw(t, "score"))
	case "forget":
		delete(f, path("vulnerability", id))
	case "source":
		bucket := rapid.SampledFrom(places).Draw(t, "place")[0]
		f[path("data-source", bucket)] = fmt.Sprintf(`{"ID":%q,"Name":"n"}`, rapid.SampledFrom([]string{"debian", "ghsa"}).Draw(t, "source"))
	case "repository":
		f[path("Red Hat CPE", "repository", rhelRepository)] = fmt.Sprintf("[%d]", rapid.IntRange(0, 1).Draw(t, "cpe"))
	}
}

// matching gives the fleet's pipeline something to look packages up with.
func (f *fleet) matching(m *engine.Matcher) *fleet {
	f.pipeline = scan.New(scan.Config{Store: f.db, Jobs: f.jobs, Matcher: m, Now: func() time.Time { return f.now },
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	return f
}

// fill stores a few images of the universe's packages, which nobody has looked up.
func (f *fleet) fill() *fleet {
	list := universe()
	f.update(func(ctx context.Context, tx *store.Tx) error { return tx.InternPackages(ctx, list) })
	for i := range 8 {
		c := &tidewaiter.Content{Distribution: &tidewaiter.Distribution{Family: "debian", Release: "12.5"}}
		for j, p := range list {
			if (j+i)%4 == 0 || j%8 == i {
				c.Installed = append(c.Installed, tidewaiter.Installed{Package: p})
			}
		}
		f.add(1+i, []string{fmt.Sprintf("team/app:%d", i)}, c, digest(100+i))
	}
	return f
}

// known is all that is known of a fleet that advisories have a part in.
type known struct {
	Judgements      map[string]*tidewaiter.Judgement
	Findings        map[string]map[string]string
	Vulnerabilities map[string]*tidewaiter.Vulnerability
	Stale           int
}

func (f *fleet) known(version string) known {
	f.Helper()
	ctx := context.Background()
	out := known{Judgements: map[string]*tidewaiter.Judgement{}, Findings: map[string]map[string]string{}, Vulnerabilities: map[string]*tidewaiter.Vulnerability{}}
	images, err := f.db.JudgedImages(ctx, 0, 100)
	f.must(err)
	for _, img := range images {
		out.Judgements[img.Digest] = img.Judgement
		r, err := f.db.Result(ctx, img.ID)
		f.must(err)
		found := map[string]string{}
		for _, in := range r.Content.Installed {
			for _, finding := range r.Findings[in.Package.ID] {
				finding.PackageID = 0
				found[in.Package.Key()+" "+finding.Vulnerability] = fmt.Sprint(finding)
			}
		}
		out.Findings[img.Digest] = found
		for id, v := range r.Vulnerabilities {
			if v.Title != "" { // of one no database ever described, whichever finding came first told the severity
				out.Vulnerabilities[id] = v
			}
		}
	}
	stale, err := f.db.StalePackages(ctx, version, 0, 100)
	f.must(err)
	out.Stale = len(stale)
	return out
}

// TestIncrementalEqualsFull changes an advisory database at random, again and again. A fleet that looks up and judges only
// what the changes concern ends up as one that looks up and judges everything each time, and what is kept of its changes
// leads from each state to the next.
func TestIncrementalEqualsFull(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { incrementalEqualsFull(t, rt, "") })
}

// TestIncrementalEqualsFullOnPostgres is a long history on the other database.
func TestIncrementalEqualsFullOnPostgres(t *testing.T) {
	url, once := testkit.Postgres(t), false
	rapid.Check(t, func(rt *rapid.T) {
		if once {
			return
		}
		once = true
		incrementalEqualsFull(t, rt, url)
	})
}

func incrementalEqualsFull(t *testing.T, rt *rapid.T, url string) {
	matcher := engine.NewMatcher()
	defer func() {
		if err := matcher.Close(); err != nil {
			t.Error(err)
		}
	}()
	few, all := newFleet(t, url).matching(matcher).fill(), newFleet(t, "").matching(matcher).fill()
	content := advisoryFile{path("Red Hat CPE", "repository", rhelRepository): "[0]"}
	for range 25 {
		content.change(rt)
	}
	dir, version, skipped := "", "", false
	for n := range rapid.IntRange(2, 4).Draw(rt, "versions") {
		next, now := content.write(t), fmt.Sprint("version ", n)
		if err := matcher.Open(next, tidewaiter.Advisories{Version: now}); err != nil {
			rt.Fatal(err)
		}
		if dir != "" {
			d, err := engine.DatabaseDifference(t.Context(), dir, next)
			if err != nil {
				rt.Fatal(err)
			}
			few.update(func(ctx context.Context, tx *store.Tx) error {
				return scan.SaveDifference(ctx, tx, version, now, d, few.now)
			})
		}
		before := few.known(now)
		if dir, version = next, now; n > 0 && rapid.Bool().Draw(rt, "the next is there before this one is worked on") {
			skipped = true
		} else {
			few.work(scan.NewRejudgeJob(now))
			all.work(scan.NewForcedRejudgeJob(now))
			got, want := few.known(now), all.known(now)
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				rt.Fatalf("version %d (one skipped before: %t): doing everything (-) and as little as needed (+) differ:\n%s", n, skipped, d)
			}
			few.tells(rt, before, got)
			skipped = false
		}
		for range rapid.IntRange(0, 6).Draw(rt, "changes") {
			content.change(rt)
		}
		few.now, all.now = few.now.Add(time.Hour), all.now.Add(time.Hour)
	}
}

// tells makes sure that the last change kept of each image is what happened between two states, and that there is none of
// this time when nothing did.
func (f *fleet) tells(rt *rapid.T, before, after known) {
	images, err := f.db.JudgedImages(context.Background(), 0, 100)
	f.must(err)
	for _, img := range images {
		changes, _, err := f.db.ChangesOfImage(context.Background(), img.ID, store.Page{Limit: 1})
		f.must(err)
		var counts tidewaiter.ChangeCounts
		if before.Judgements[img.Digest].Advisories == advisories {
			continue // judged by none of these before
		}
		if len(changes) > 0 && changes[0].At.Equal(f.now) {
			counts = changes[0].Counts
		}
		appeared, gone := 0, 0
		for key := range after.Findings[img.Digest] {
			if _, had := before.Findings[img.Digest][key]; !had {
				appeared++
			}
		}
		for key := range before.Findings[img.Digest] {
			if _, has := after.Findings[img.Digest][key]; !has {
				gone++
			}
		}
		if counts.New != appeared || counts.Gone != gone {
			rt.Fatalf("image %d: %d findings came and %d went, kept is %+v", img.ID, appeared, gone, counts)
		}
	}
}

// TestOnlyWhatChangedIsJudgedAgain counts: an advisory more for one package out of many has the images judged that hold it.
func TestOnlyWhatChangedIsJudgedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		matcher := engine.NewMatcher()
		t.Cleanup(func() { _ = matcher.Close() })
		f := newFleet(t, url)
		metrics := prometheus.NewRegistry()
		f.pipeline = scan.New(scan.Config{Store: f.db, Jobs: f.jobs, Matcher: matcher, Now: func() time.Time { return f.now },
			Log: slog.New(slog.DiscardHandler), Metrics: metrics})
		f.fill()
		content := advisoryFile{path("debian 12", "openssl", "CVE-2024-1"): `{"FixedVersion":"3.0"}`}
		first := content.write(t)
		f.must(matcher.Open(first, tidewaiter.Advisories{Version: "one"}))
		f.work(scan.NewRejudgeJob("one"))
		if got := judged(t, metrics); got != 8 {
			t.Fatalf("%v images judged at first, want all 8", got)
		}

		last, err := f.db.LastImageChange(t.Context())
		f.must(err)
		content[path("pip::Hub", "requests", "CVE-2024-2")] = `{"VulnerableVersions":["<2.0.0"],"PatchedVersions":["2.0.0"]}`
		second := content.write(t)
		d, err := engine.DatabaseDifference(t.Context(), first, second)
		f.must(err)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			return scan.SaveDifference(ctx, tx, "one", "two", d, f.now)
		})
		f.must(matcher.Open(second, tidewaiter.Advisories{Version: "two"}))
		f.work(scan.NewRejudgeJob("two"))
		for _, j := range f.known("two").Judgements {
			if j.Advisories != "two" {
				t.Errorf("an image is judged by %s", j.Advisories)
			}
		}
		news, err := f.db.ImageChanges(t.Context(), last, 100)
		f.must(err)
		if got := judged(t, metrics) - 8; len(news) == 0 || len(news) == 8 || got != float64(len(news)) {
			t.Errorf("%v images judged again, %d changed", got, len(news))
		}

		// The same advisories under another name concern nobody; by force everybody.
		f.must(matcher.Open(second, tidewaiter.Advisories{Version: "three"}))
		d, err = engine.DatabaseDifference(t.Context(), second, content.write(t))
		f.must(err)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			return scan.SaveDifference(ctx, tx, "two", "three", d, f.now)
		})
		began := judged(t, metrics)
		f.work(scan.NewRejudgeJob("three"))
		if got := judged(t, metrics); got != began {
			t.Errorf("%v images judged for nothing", got-began)
		}
		f.work(scan.NewForcedRejudgeJob("three"))
		if got := judged(t, metrics) - began; got != 8 {
			t.Errorf("%v images judged by force, want all 8", got)
		}

		// A new year makes vulnerabilities that were recent old ones.
		f.now = f.now.AddDate(1, 0, 0)
		f.must(matcher.Open(second, tidewaiter.Advisories{Version: "four"}))
		f.update(func(ctx context.Context, tx *store.Tx) error {
			return scan.SaveDifference(ctx, tx, "three", "four", d, f.now)
		})
		began = judged(t, metrics)
		f.work(scan.NewRejudgeJob("four"))
		if got := judged(t, metrics) - began; got != 8 {
			t.Errorf("%v images judged in the new year, want all 8", got)
		}
	})
}

func judged(t *testing.T, metrics *prometheus.Registry) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tidewaiter_images_judged_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("images judged are not counted")
	return 0
}
