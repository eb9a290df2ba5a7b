package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

const (
	workerImages = 96
	workersEach  = 2 // images and layers at once, of one process
	slowAnswer   = 250 * time.Millisecond
)

// workerGrowth looks at how scanning grows with processes that share a database.
func workerGrowth(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: "Scanning with more workers",
		about: fmt.Sprintf("One server on PostgreSQL and workers beside it, all on this machine, each with %d images and layers at once. They scan %d small "+
			"images, each with a layer of its own, of a registry that takes %d ms for each answer: what takes time is waiting, as it is with "+
			"registries elsewhere.", workersEach, workerImages, slowAnswer.Milliseconds()),
		columns: []string{"processes", "images", "s", "images/s", "ratio"},
	}
	for i := range workerImages {
		m, err := slowImage(i)
		if err != nil {
			return t, err
		}
		if _, err := l.push(ctx, fmt.Sprintf("bench/slow-%02d", i), m); err != nil {
			return t, err
		}
	}
	upstream, err := url.Parse(l.registry.url)
	if err != nil {
		return t, err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(slowAnswer)
		forward.ServeHTTP(w, r)
	}))
	defer slow.Close()
	var alone float64
	for _, processes := range []int{1, 2, 4} {
		took, err := l.scanTogether(ctx, slow.URL, processes)
		if err != nil {
			return t, fmt.Errorf("%d processes: %w", processes, err)
		}
		if processes == 1 {
			alone = took.Seconds()
		}
		t.add(strconv.Itoa(processes), strconv.Itoa(workerImages), seconds(took.Seconds()), fmt.Sprintf("%.1f", workerImages/took.Seconds()),
			fmt.Sprintf("%.2f", took.Seconds()/alone))
	}
	t.notef("The ratio is the time to that of one process alone.")
	return t, nil
}

// slowImage is a small image whose second layer no other has.
func slowImage(i int) (*samples.Manifest, error) {
	base, err := samples.NewLayer(samples.Gzip, samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n"))
	if err != nil {
		return nil, err
	}
	own, err := samples.NewLayer(samples.Gzip, samples.File("app/node_modules/one/package.json", fmt.Sprintf(`{"name":"one","version":"1.0.%d"}`, i)))
	if err != nil {
		return nil, err
	}
	return samples.NewImage().Add(base).Add(own).Build()
}

// scanTogether has a server and workers, so many processes in all, scan the registry into an empty database.
func (l *lab) scanTogether(ctx context.Context, registry string, processes int) (took time.Duration, err error) {
	dsn, drop, err := testkit.PostgresDatabase(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	args := []string{"-database", dsn, "-workers", strconv.Itoa(workersEach)}
	s, err := l.serve(ctx, args...)
	if err != nil {
		return 0, err
	}
	running := []*server{s}
	defer func() {
		for _, s := range running {
			_, stopped := s.stop()
			err = errors.Join(err, stopped)
		}
	}()
	for len(running) < processes {
		worker, err := l.start(ctx, filepath.Join(l.dir, fmt.Sprintf("worker-%d-%d", processes, len(running))), append(args, "-for", s.data)...)
		if err != nil {
			return 0, err
		}
		running = append(running, worker)
	}
	began := time.Now()
	err = s.scanRegistry(ctx, registry, "bench/slow-*")
	return time.Since(began), err
}
