package app_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// crashWorkers is how many layers the servers of these tests have in flight at most.
const crashWorkers = 4

// goingAgain is how long a server may take after a crash to go on with what was interrupted.
const goingAgain = 30 * time.Second

// harbour is a registry of many images that takes its time, and what is known of it.
type harbour struct {
	*testkit.Faults
	registry *testkit.Server
	images   map[string]bool // repository:tag of each image
	layers   map[string]bool // digests of those of the images that are scanned
}

// newHarbour fills a registry with the samples and forty images that share layers.
func newHarbour(t *testing.T) *harbour {
	t.Helper()
	h := &harbour{registry: sampleRegistry(t), images: map[string]bool{}, layers: map[string]bool{}}
	catalogue, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range catalogue {
		if s.Expect.Kind != tidewaiter.ManifestArtifact {
			h.add(s.Repository, s.Manifest, s.Tags...)
		}
	}
	for i := range 40 {
		m := samples.NewImage().
			Step("base", samples.File("etc/os-release", fmt.Sprintf("ID=debian\nVERSION_ID=12\nBUILD_ID=%d\n", i%8))).
			Step("runtime", samples.File("opt/runtime", fmt.Sprint(i%5))).
			Step("app", samples.File("app/name", fmt.Sprint(i))).MustBuild()
		repository := fmt.Sprintf("team/app-%02d", i/2)
		tag := fmt.Sprintf("v%d", i)
		push(t, h.registry.URL, repository, m, tag)
		h.add(repository, m, tag)
	}
	h.Faults = testkit.NewFaults(t, h.registry.URL, nil)
	h.Add(t, testkit.Fault{Path: `/blobs/`, Delay: 150 * time.Millisecond})
	h.Add(t, testkit.Fault{Path: `/tags/list`, Delay: 50 * time.Millisecond})
	return h
}

func (h *harbour) add(repository string, m *samples.Manifest, tags ...string) {
	for _, tag := range tags {
		h.images[repository+":"+tag] = true
	}
	if len(m.Images) > 0 {
		m = m.Images[0] // the one for linux/amd64
	}
	for _, l := range m.Layers {
		h.layers[l.Digest] = true
	}
}

// declare has the server scan the registry.
func (h *harbour) declare(t *testing.T, p *process) {
	t.Helper()
	p.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []map[string]any{{
		"version": "2", "registry": h.URL, "excludedRepositories": []string{"tidewaiter/*"},
	}}})
}

// pulls counts the requests for each layer so far.
func (h *harbour) pulls(t *testing.T) (byLayer map[string]int, all int) {
	t.Helper()
	byLayer = map[string]int{}
	for _, r := range h.Requests(t, http.MethodGet, `/blobs/`) {
		if digest := path.Base(r.Path); h.layers[digest] {
			byLayer[digest]++
			all++
		}
	}
	return byLayer, all
}

// pulled waits until so many layers were asked for.
func (h *harbour) pulled(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d layers pulled", n), func() bool {
		_, all := h.pulls(t)
		return all >= n
	})
}

// check holds the end against what is in the registry. Nothing may be missing, doubled or wrong, and no more pulled twice
// than was in flight when the server ended.
func (h *harbour) check(t *testing.T, c childSettings, ends int) {
	t.Helper()
	byLayer, all := h.pulls(t)
	t.Logf("%d layers, pulled %d times", len(h.layers), all)
	for digest := range h.layers {
		if n := byLayer[digest]; n < 1 || n > 1+ends {
			t.Errorf("layer %s was pulled %d times", digest, n)
		}
	}
	if all > len(h.layers)+ends*crashWorkers {
		t.Errorf("%d pulls of %d layers, with %d in flight at each of %d ends", all, len(h.layers), crashWorkers, ends)
	}
	s := reopen(t, c).withAdvisories(t)
	scans, _, err := s.control.Scans(t.Context(), control.ScanFilter{Page: control.Page{Limit: 10}})
	if err != nil || len(scans) != 1 {
		t.Fatalf("%d scans, %v", len(scans), err)
	}
	rows := s.results(t)
	if scan := scans[0]; scan.State != tidewaiter.ScanCompleted || !scan.Complete || scan.ImagesFailed != 0 ||
		scan.ImagesDone != scan.ImagesTotal || scan.ImagesTotal != len(rows) {
		t.Errorf("%d rows after scan %+v", len(rows), scan)
	}
	for name, row := range rows {
		if !h.images[name] {
			t.Errorf("%s is no image", name)
		}
		if row.Image == nil || row.Image.Judgement == nil || row.Tag.Error != "" {
			t.Errorf("%s is not judged: %+v", name, row)
		}
	}
	if len(rows) != len(h.images) {
		t.Errorf("%d rows, want %d", len(rows), len(h.images))
	}
	h.compareSamples(t, s, rows)
}

// compareSamples holds the samples' results against what is known of them.
func (h *harbour) compareSamples(t *testing.T, s *server, rows map[string]control.Row) {
	t.Helper()
	catalogue, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range catalogue {
		name := sample.Repository + ":" + sample.Tags[0]
		row, found := rows[name]
		if !found || row.Image == nil {
			continue
		}
		result, err := s.control.Result(t.Context(), row.Image.ID)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name, sample.Expect, result)
	}
}

// TestKilledServerGoesOn kills the server three times in the middle of a scan, at moments of chance: once while it lists,
// twice while it pulls.
func TestKilledServerGoesOn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		if !apart(t) {
			return
		}
		const kills = 3
		h := newHarbour(t)
		chance := rand.New(rand.NewPCG(20, 26)) // the same moments each time, as far as they can be
		c := childSettings{Data: t.TempDir(), Database: database, Workers: crashWorkers, Advisories: advisoriesIn(h.registry)}
		p := spawn(t, c)
		h.declare(t, p)
		for i := range kills {
			if i == 0 {
				listed := 1 + chance.IntN(20)
				eventually(t, "repositories are listed", func() bool { return len(h.Requests(t, "", `/tags/list`)) >= listed })
			} else {
				quarter := len(h.layers) / 4
				h.pulled(t, i*quarter+chance.IntN(quarter))
			}
			time.Sleep(time.Duration(chance.IntN(150)) * time.Millisecond) // any moment between two requests
			p.kill()
			before, began := len(h.Requests(t, "", "")), time.Now()
			p = spawn(t, c)
			eventually(t, "it goes on", func() bool { return len(h.Requests(t, "", "")) > before })
			if took := time.Since(began); took > goingAgain {
				t.Errorf("it went on %s after kill %d", took, i+1)
			} else {
				t.Logf("it went on %s after kill %d", took.Round(time.Millisecond), i+1)
			}
		}
		last := time.Now()
		p.scanned(t)
		t.Logf("done %s after the last kill", time.Since(last).Round(time.Millisecond))
		p.terminate(t)
		h.check(t, c, kills)
	})
}

// TestStoppedServerGoesOn stops the server in good order in the middle of a scan: what is in flight is finished, and
// nothing is pulled twice.
func TestStoppedServerGoesOn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		if !apart(t) {
			return
		}
		h := newHarbour(t)
		c := childSettings{Data: t.TempDir(), Database: database, Workers: crashWorkers, Advisories: advisoriesIn(h.registry)}
		p := spawn(t, c)
		h.declare(t, p)
		h.pulled(t, len(h.layers)/3)
		p.terminate(t)
		if _, all := h.pulls(t); all == len(h.layers) {
			t.Fatal("the scan was over before the server was stopped")
		}
		p = spawn(t, c)
		p.scanned(t)
		p.terminate(t)
		h.check(t, c, 0)
	})
}
