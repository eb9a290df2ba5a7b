//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	chaosImages  = 300
	chaosWorkers = 4
	chaosEvery   = 2 * time.Second
	chaosFaults  = 60              // at most; then the fleet is let alone
	chaosLeast   = 9               // three of each kind; the registry is scanned again until that many came
	chaosTime    = 6 * time.Minute // for everything to be judged
)

// TestChaos scans some hundred images with a server and four workers on PostgreSQL. Every two seconds a process is killed, a
// connection cut, or the database taken down. In the end everything is as in a run in which nothing of that happened.
func TestChaos(t *testing.T) {
	registry := testkit.Registry(t, testkit.Options{Username: "reader", Password: "harbour"})
	layers := pushFleet(t, registry)
	open := testkit.Registry(t, testkit.Options{}) // the advisories
	if err := samples.Push(t.Context(), open.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	quiet := testkit.Postgres(t)
	server := newFleetServer(t, open, quiet)
	server.run()
	server.ready()
	server.declare(registry)
	settled(t, quiet)
	want := outcomeOf(t, quiet)
	server.end()

	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // which fault comes next
	t.Logf("seed %d", seed)
	database := testkit.OwnPostgres(t)
	fleet := []*supervised{newFleetServer(t, open, database.URL)}
	fleet[0].run()
	fleet[0].ready()
	key := fleet[0].workerKey()
	for i := range chaosWorkers {
		w := newFleetWorker(t, database.URL, key, fmt.Sprint("zone=", i%2))
		w.run()
		fleet = append(fleet, w)
	}
	fleet[0].declare(registry)

	began, scans := time.Now(), 1
	for faults := 0; faults < chaosFaults; faults++ {
		time.Sleep(chaosEvery) // between two faults
		if done(t, database.URL) {
			if faults >= chaosLeast {
				t.Logf("%d faults, %d scans", faults, scans)
				break
			}
			fleet[0].rescan()
			scans++
		}
		switch faults % 3 {
		case 0:
			fleet[chance.IntN(len(fleet))].kill()
		case 1:
			cut(t, database.URL, chance)
		case 2:
			database.Restart()
		}
	}
	settled(t, database.URL)
	t.Logf("settled after %.0f s", time.Since(began).Seconds())
	for _, p := range fleet {
		p.end()
	}
	if diff := cmp.Diff(want, outcomeOf(t, database.URL)); diff != "" {
		t.Errorf("not as in a run without faults (-want +got):\n%s", diff)
	}
	if n := want.Layers; n != layers {
		t.Errorf("%d layers analysed, %d were pushed", n, layers)
	}
	if n := len(want.Images); n != chaosImages {
		t.Errorf("%d images judged, %d were pushed", n, chaosImages)
	}
}

// pushFleet pushes images on the layers of the samples, each with layers of its own, and returns how many distinct layers
// there are.
func pushFleet(t *testing.T, registry *testkit.Server) int {
	t.Helper()
	catalogue, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var bases []*samples.Manifest
	for _, s := range catalogue {
		if s.Expect.Kind == tidewaiter.ManifestImage && len(s.Manifest.Layers) > 0 {
			bases = append(bases, s.Manifest)
		}
	}
	p, err := samples.NewPusher(registry.URL, samples.Options{Username: "reader", Password: "harbour"})
	if err != nil {
		t.Fatal(err)
	}
	layers := map[string]bool{}
	for i := range chaosImages {
		image := samples.NewImage()
		for _, l := range bases[i%len(bases)].Layers {
			image = image.Add(l)
		}
		for part := range 2 {
			image = image.Step("own", samples.File(fmt.Sprintf("srv/app-%d/%d/package.json", i, part),
				fmt.Sprintf(`{"name":"app-%d-%d","version":"1.0.%d"}`, i, part, i)))
		}
		m, err := image.Build()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range m.Layers {
			layers[l.DiffID] = true
		}
		if err := p.Push(t.Context(), fmt.Sprintf("fleet/app-%02d", i%30), m, fmt.Sprint("v", i)); err != nil {
			t.Fatal(err)
		}
	}
	return len(layers)
}

// outcome is what has to be the same however a fleet came to it.
type outcome struct {
	Images          map[string]string // repository:tag to what is known of it
	Layers          int               // analysed
	Packages        int
	Findings        int
	Vulnerabilities int
	Twice           map[string]int // what is there more than once; empty
	Left            map[string]int // what is not finished; empty
}

func outcomeOf(t *testing.T, url string) (out outcome) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, _, err := db.Results(t.Context(), store.ResultFilter{Page: store.Page{Limit: 10 * chaosImages}})
	if err != nil {
		t.Fatal(err)
	}
	out = outcome{Images: map[string]string{}, Twice: map[string]int{}, Left: map[string]int{}}
	for _, r := range rows {
		name := r.Tag.Repository.Name + ":" + r.Tag.Name
		if out.Images[name] != "" {
			out.Twice["image "+name]++
		}
		j := r.Image.Judgement
		if j == nil {
			out.Left["image "+name]++
			continue
		}
		out.Images[name] = fmt.Sprintf("%s %s packages %d vulnerabilities %+v checks %+v %s error %q", r.Image.Digest, r.Image.State, j.Packages,
			j.Vulnerabilities, j.Checks, j.Verdict.Effect, r.Tag.Error)
	}
	stats, err := db.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out.Layers, out.Packages, out.Findings, out.Vulnerabilities = stats.Layers[store.LayerDone], stats.Packages, stats.Findings, stats.Vulnerabilities
	for what, query := range map[string]string{
		"analysis": "select count(*) - count(distinct (diff_id, analyzer)) from layers",
		"package":  "select count(*) - count(distinct key) from packages",
		"finding":  "select count(*) - count(distinct (package_id, vulnerability_id)) from findings",
	} {
		if n := number(t, url, query); n != 0 {
			out.Twice[what] = n
		}
	}
	for what, query := range map[string]string{
		"image":           "select count(*) from images where state <> 'judged' or waiting <> 0",
		"layer":           "select count(*) from layers where state <> 'done' or owner <> ''",
		"wait":            "select count(*) from image_waits",
		"outstanding tag": "select count(*) from scan_tags",
		"scan":            "select count(*) from scans where state <> 'completed' or images_failed <> 0 or images_done <> images_total",
		"job":             "select count(*) from river_job where state not in ('completed', 'scheduled', 'available', 'running') and kind in ('scan', 'tag', 'layer', 'judge', 'rejudge')",
	} {
		if n := number(t, url, query); n != 0 {
			out.Left[what] = n
		}
	}
	return out
}

func number(t *testing.T, url, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// done reports whether every scan is over and every image judged.
func done(t *testing.T, url string) bool {
	t.Helper()
	return number(t, url, "select count(*) from scans where state in ('queued', 'listing', 'scanning')") == 0 &&
		number(t, url, "select count(*) from images where state = 'judged' and waiting = 0") >= chaosImages
}

func settled(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(chaosTime); !done(t, url); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not judged after %s", chaosTime)
		}
	}
}

// cut ends some connection of the fleet.
func cut(t *testing.T, url string, chance *rand.Rand) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "select pid from pg_stat_activity where application_name = 'tidewaiter' and pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		t.Fatal(err)
	}
	if len(pids) == 0 {
		return // everybody is just starting
	}
	if _, err := conn.Exec(t.Context(), "select pg_terminate_backend($1)", pids[chance.IntN(len(pids))]); err != nil {
		t.Fatal(err)
	}
}

// supervised is a process of the built program that is started again whenever it ends, as a supervisor would.
type supervised struct {
	t    *testing.T
	args []string
	env  []string
	url  string // where it serves; "" for a worker
	data string

	mu      sync.Mutex
	cmd     *exec.Cmd
	started time.Time
	over    bool
	ended   chan struct{}
	last    error // how it ended the last time
}

func newFleetServer(t *testing.T, advisories *testkit.Server, database string) *supervised {
	t.Helper()
	address, data := freeAddress(t), t.TempDir()
	return &supervised{t: t, url: "http://" + address, data: data, env: []string{"TIDEWAITER_ADMIN_PASSWORD=" + password},
		args: []string{"serve", "--listen", address, "--data", data, "--allow-loopback-registries", "--database", database, "--log-level", "error",
			"--workers", "2", "--advisories", advisories.Host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag, "--advisories-plain-http"}}
}

func newFleetWorker(t *testing.T, database, key, label string) *supervised {
	t.Helper()
	return &supervised{t: t, env: []string{"TIDEWAITER_WORKER_KEY=" + key},
		args: []string{"worker", "--database", database, "--label", label, "--data", t.TempDir(), "--allow-loopback-registries",
			"--workers", "2", "--log-level", "error"}}
}

// run keeps the process running until end.
func (s *supervised) run() {
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		for {
			cmd := exec.Command(filepath.Join(root(s.t), "bin", "tidewaiter"), s.args...) //nolint:gosec,noctx // ours; end ends it
			cmd.Env = append(os.Environ(), s.env...)
			cmd.Stdout, cmd.Stderr = s.t.Output(), s.t.Output()
			s.mu.Lock()
			if s.over {
				s.mu.Unlock()
				return
			}
			s.last = cmd.Start()
			s.cmd, s.started = cmd, time.Now()
			s.mu.Unlock()
			if s.last == nil {
				err := cmd.Wait()
				s.mu.Lock()
				s.last = err
				s.mu.Unlock()
			}
			time.Sleep(200 * time.Millisecond) // as supervisors do, so that one that cannot start does not spin
		}
	}()
	s.t.Cleanup(s.end)
}

// kill sends SIGKILL.
func (s *supervised) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill() // it may just have ended
	}
}

// settle waits until the process has run for a while: one that is just starting does not listen to signals yet.
func (s *supervised) settle() {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		s.mu.Lock()
		steady := s.cmd != nil && time.Since(s.started) > 3*time.Second
		s.mu.Unlock()
		if steady {
			return
		}
	}
}

// end asks the process to stop and wants it to do so in good order.
func (s *supervised) end() {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.settle()
	s.mu.Lock()
	s.over = true
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
	}
	s.mu.Unlock()
	<-s.ended
	if s.last != nil {
		s.t.Errorf("%s did not end in good order: %v", s.args[0], s.last)
	}
}

func (s *supervised) ready() {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(s.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the server is not ready: %v", err)
		}
	}
}

func (s *supervised) workerKey() string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), filepath.Join(root(s.t), "bin", "tidewaiter"), "worker-key", "--data", s.data).Output() //nolint:gosec // ours
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// declare has the server scan a registry with a login.
func (s *supervised) declare(registry *testkit.Server) {
	s.t.Helper()
	s.call(http.MethodPost, "/credentials", map[string]any{"_id": "fleet", "type": "basic", "accountID": "reader", "secret": map[string]any{"plain": "harbour"}})
	s.call(http.MethodPut, "/settings/registry", map[string]any{"specifications": []any{map[string]any{"version": "2", "registry": registry.URL,
		"repository": "", "tag": "", "os": "linux", "cap": 0, "credentialID": "fleet", "scanners": 0, "collections": []string{"All"}}}})
}

// rescan has everything looked at again. The server may be away at the moment.
func (s *supervised) rescan() {
	s.t.Helper()
	s.call(http.MethodPost, "/registry/scan", map[string]any{})
}

// call asks the server until it answers: it may be starting.
func (s *supervised) call(method, path string, body any) {
	s.t.Helper()
	doc, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/api/v32.07"+path, bytes.NewReader(doc))
		if err != nil {
			s.t.Fatal(err)
		}
		req.SetBasicAuth("admin", password)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode < 300 {
				return
			}
			if res.StatusCode < 500 {
				s.t.Fatalf("%s %s: %s %s", method, path, res.Status, text)
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s %s: no answer: %v", method, path, err)
		}
	}
}
