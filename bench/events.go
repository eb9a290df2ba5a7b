package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	eventRate    = 1000 // a second
	eventSenders = 64   // requests under way at most
	eventTags    = 200  // that the events are about
)

// pushEvents measures the address events are sent to while the server is killed in the middle.
func pushEvents(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: fmt.Sprintf("%s push events a second for %d s", count(eventRate), l.seconds),
		about: fmt.Sprintf("Sent over loopback to a registry's address, each about one of %d tags of a real registry, with a delivery id of its own; "+
			"senders, registry and server share the machine. In the middle the server is killed (SIGKILL) and started again at once; a sender whose "+
			"event was not taken sends it again. What was stored is counted in the database afterwards.", eventTags),
		columns: []string{"database", "sent", "stored", "lost", "stored twice", "down s", "p50 ms", "p99 ms", "target", "peak MiB before", "peak MiB after", "CPU s after"},
	}
	image := samples.NewImage().Step("app", samples.File("app/name", "events")).MustBuild()
	tags := make([]string, eventTags)
	for i := range tags {
		tags[i] = fmt.Sprintf("v%d", i)
	}
	if err := l.pusher.Push(ctx, "events/app", image, tags...); err != nil {
		return t, err
	}
	databases := []string{""}
	if url := os.Getenv("TIDEWAITER_BENCH_POSTGRES"); url != "" {
		databases = append(databases, url)
	} else {
		t.notef("TIDEWAITER_BENCH_POSTGRES names no database: SQLite alone.")
	}
	for _, database := range databases {
		storm := &storm{lab: l, database: database, digest: image.Digest}
		if err := storm.run(ctx, &t); err != nil {
			return t, err
		}
	}
	t.notef("A time is that of one answered request, from sending to the answer; requests the kill cut off are not among them.")
	return t, nil
}

// storm is one run.
type storm struct {
	*lab
	database, digest string
	path             string // of the address
	listen           string
	args             []string
	data             string

	client *http.Client
	mu     sync.Mutex
	took   []time.Duration
}

func (s *storm) run(ctx context.Context, t *table) (err error) {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	server, err := s.start(ctx, s.data, s.args...)
	if err != nil {
		return err
	}
	total := eventRate * s.seconds
	work := make(chan int, total)
	var senders sync.WaitGroup
	for range eventSenders {
		senders.Go(func() {
			for n := range work {
				s.send(ctx, n)
			}
		})
	}
	killed := make(chan error, 1)
	var before int64
	var down time.Duration
	go func() {
		var err error
		time.Sleep(time.Duration(s.seconds) * time.Second / 2)
		before, err = cost.Peak(server.cmd.Process.Pid)
		began := time.Now()
		_ = server.cmd.Process.Kill() // it runs
		_ = server.cmd.Wait()
		again, e := s.start(ctx, s.data, s.args...)
		down = time.Since(began)
		server = again
		killed <- errors.Join(err, e)
	}()
	for n, began := 0, time.Now(); n < total; n++ {
		if wait := time.Until(began.Add(time.Duration(n) * time.Second / eventRate)); wait > time.Millisecond {
			time.Sleep(wait)
		}
		work <- n
	}
	close(work)
	if err := <-killed; err != nil {
		return err
	}
	senders.Wait()
	after, err := cost.Peak(server.cmd.Process.Pid)
	took, stopped := server.stop()
	if err := errors.Join(err, stopped, ctx.Err()); err != nil {
		return err
	}
	distinct, rows, err := s.stored(ctx)
	if err != nil {
		return err
	}
	name := "SQLite"
	if s.database != "" {
		name = "PostgreSQL"
	}
	slices.Sort(s.took)
	p := func(share float64) float64 {
		return float64(s.took[int(share*float64(len(s.took)-1))].Microseconds()) / 1000
	}
	t.add(name, count(total), count(distinct), count(total-distinct), count(rows-distinct), seconds(down.Seconds()),
		fmt.Sprintf("%.1f", p(0.5)), fmt.Sprintf("%.1f", p(0.99)), against(p(0.99), 100, " ms"), mebibytes(before), mebibytes(after), seconds(took.CPUSeconds))
	return nil
}

// prepare declares the registry and gives it an address, in a server of this process that serves nobody.
func (s *storm) prepare(ctx context.Context) (err error) {
	if s.data, err = os.MkdirTemp(s.dir, "data-"); err != nil {
		return err
	}
	if s.listen, err = freeAddress(ctx); err != nil {
		return err
	}
	s.args = []string{"-listen", s.listen, "-database", s.database, "-advisories", s.registry.host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: eventSenders}, Timeout: 10 * time.Second}
	s.path, err = makeAddress(ctx, s.data, s.database, s.registry.url)
	return err
}

// makeAddress declares a registry in the database of a server that does not run, and returns the path of its address.
func makeAddress(ctx context.Context, data, database, registry string) (string, error) {
	a, err := app.New(ctx, app.Config{Listen: "127.0.0.1:0", Data: data, Database: database, AllowLoopback: true,
		AdminPassword: secret.New(adminPassword)})
	if err != nil {
		return "", err
	}
	defer a.Close()
	r, err := a.Control().AddRegistry(ctx, &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: registry, Origin: tidewaiter.OriginNative,
		Scope: tidewaiter.Scope{ExcludeRepositories: []string{"tidewaiter/*"}}}, false)
	if err != nil {
		return "", err
	}
	address, err := a.Control().MakeEventAddress(ctx, r.ID, control.EventProofChange{})
	if err != nil {
		return "", err
	}
	return control.EventPath + r.ID + "/" + address.End.Reveal(), nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// send delivers an event until it is taken.
func (s *storm) send(ctx context.Context, n int) {
	body := fmt.Sprintf(`{"events":[{"id":"e-%d","timestamp":"2026-11-01T10:00:00Z","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"digest":%q,"repository":"events/app","tag":"v%d"},"request":{"host":%q}}]}`, n, s.digest, n%eventTags, s.registry.host)
	for ctx.Err() == nil {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.listen+s.path, bytes.NewReader([]byte(body)))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v2+json")
		res, err := s.client.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		if err == nil && res.StatusCode == http.StatusOK {
			took := time.Since(began)
			s.mu.Lock()
			s.took = append(s.took, took)
			s.mu.Unlock()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stored counts the events in the database.
func (s *storm) stored(ctx context.Context) (distinct, rows int, err error) {
	url := s.database
	if url == "" {
		url = s.data + "/tidewaiter.db"
	}
	db, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	seen := map[string]bool{}
	for f := (store.EventFilter{Page: store.Page{Limit: store.MaxLimit}}); ; {
		page, next, err := db.Events(ctx, f)
		if err != nil {
			return 0, 0, err
		}
		for _, e := range page {
			seen[e.DeliveryID] = true
		}
		rows += len(page)
		if f.After = next; next == "" {
			return len(seen), rows, nil
		}
	}
}
