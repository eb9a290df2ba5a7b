package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// specifications measures the largest list of registries Prisma's API takes.
func specifications(ctx context.Context, l *lab) (t table, err error) {
	const n = 19_999
	t = table{
		title:   fmt.Sprintf("%s registry specifications on SQLite", count(n)),
		about:   "Over HTTP, with the time the client takes to write and read the JSON. `scanLater` is set: nothing is scanned.",
		columns: []string{"request", "wall s", "target"},
	}
	s, err := l.serve(ctx)
	if err != nil {
		return t, err
	}
	defer func() {
		took, stopped := s.stop()
		err = errors.Join(err, stopped)
		t.notef("The server took %s s of CPU and %s MiB at its peak for all of it.", seconds(took.CPUSeconds), mebibytes(took.PeakBytes))
	}()
	list := settings{make([]specification, n)}
	for i := range list.Specifications {
		list.Specifications[i] = specification{Version: "2", Registry: fmt.Sprintf("https://registry-%05d.example.com", i%500),
			Repository: fmt.Sprintf("team-%05d/*", i), Tag: "v*", OS: "linux", Cap: 5}
	}
	put := func() error { return s.call(ctx, http.MethodPut, settingsPath+"?scanLater=true", list, nil) }
	get := func() error {
		var got settings
		if err := s.call(ctx, http.MethodGet, settingsPath, nil, &got); err != nil {
			return err
		}
		if len(got.Specifications) != n || got.Specifications[n-1].Repository != list.Specifications[n-1].Repository {
			return fmt.Errorf("%d specifications came back, or in another order", len(got.Specifications))
		}
		return nil
	}
	for _, step := range []struct {
		name   string
		do     func() error
		target float64
	}{
		{"PUT, none declared before", put, 3}, {"GET", get, 1}, {"PUT, the same again", put, 3},
		{"PUT, every tenth changed", func() error {
			for i := 0; i < n; i += 10 {
				list.Specifications[i].Cap = 7
			}
			return put()
		}, 3},
		{"GET again", get, 1},
	} {
		began := time.Now()
		if err := step.do(); err != nil {
			return t, err
		}
		took := time.Since(began).Seconds()
		t.add(step.name, seconds(took), against(took, step.target, " s"))
	}
	return t, nil
}
