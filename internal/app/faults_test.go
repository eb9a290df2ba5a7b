package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// fleet pushes n small images into n repositories and returns the registry behind a proxy that can break.
func fleet(t *testing.T, n int) (*testkit.Server, *testkit.Faults) {
	t.Helper()
	r := testkit.Registry(t, testkit.Options{})
	base := samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n"))
	for i := range n {
		m := base.Step("app", samples.File("etc/name", fmt.Sprint(i))).MustBuild()
		push(t, r.URL, fmt.Sprintf("team/app-%02d", i), m, "v1")
	}
	return r, testkit.NewFaults(t, r.URL, nil)
}

// TestBrokenListingTakesNothingAway breaks the second listing half-way in every way a registry can.
func TestBrokenListingTakesNothingAway(t *testing.T) {
	t.Parallel()
	const repositories = 8
	for name, fault := range map[string]testkit.Fault{
		"429 in the middle":     {Path: `/v2/team/app-0[4-7]/tags/list`, Status: http.StatusTooManyRequests, RetryAfter: "900"},
		"connection cut":        {Path: `/v2/team/app-0[4-7]/tags/list`, Cut: 5},
		"connection refused":    {Path: `/v2/team/app-0[4-7]/tags/list`, Cut: -1},
		"500":                   {Path: `/v2/team/app-0[4-7]/tags/list`, Status: http.StatusInternalServerError},
		"catalog cut":           {Path: `/v2/_catalog`, Cut: 20},
		"catalog forbidden":     {Path: `/v2/_catalog`, Status: http.StatusForbidden},
		"listing is no listing": {Path: `/v2/team/app-05/tags/list`, Status: http.StatusOK, Body: `<html>maintenance</html>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time is spent waiting between attempts
			upstream, faults := fleet(t, repositories)
			cfg := app.Config{Data: t.TempDir(), Advisories: []string{upstream.Host + "/none:1"}}
			s := start(t, cfg)
			r := s.declare(t, faults.URL)
			s.finished(t)
			if rows := s.results(t); len(rows) != repositories {
				t.Fatalf("%d rows after the first scan", len(rows))
			}

			faults.Add(t, fault)
			scan := s.rescan(t, r)
			if scan.State != tidewaiter.ScanFailed || scan.Error == "" || scan.Complete {
				t.Errorf("the broken scan: %s, complete %v, error %q", scan.State, scan.Complete, scan.Error)
			}
			rows := s.results(t)
			if len(rows) != repositories {
				t.Errorf("%d rows after the broken scan", len(rows))
			}
			for name, row := range rows {
				if row.Image == nil || row.Image.Judgement == nil || !row.Tag.GoneAt.IsZero() {
					t.Errorf("%s lost its result: %+v", name, row)
				}
			}

			// A new process, as the old one would keep the pause that it was asked for.
			faults.Clear()
			s.stop()
			s = start(t, cfg)
			if scan := s.rescan(t, r); scan.State != tidewaiter.ScanCompleted || !scan.Complete {
				t.Errorf("the scan after: %s %q", scan.State, scan.Error)
			}
			if rows := s.results(t); len(rows) != repositories {
				t.Errorf("%d rows after the repaired scan", len(rows))
			}
		})
	}
}

// TestShortRefusalIsWaitedOut answers 429 with a second's patience: nobody has to do anything.
func TestShortRefusalIsWaitedOut(t *testing.T) {
	t.Parallel()
	_, faults := fleet(t, 4)
	faults.Add(t, testkit.Fault{Path: `/tags/list`, Status: http.StatusTooManyRequests, RetryAfter: "1", After: 1, Times: 2})
	faults.Add(t, testkit.Fault{Path: `/blobs/`, Status: http.StatusServiceUnavailable, After: 2, Times: 2})
	s := start(t, app.Config{Advisories: []string{faults.Host + "/none:1"}})
	r := s.declare(t, faults.URL)
	if scan := s.finished(t)[r.ID]; scan.State != tidewaiter.ScanCompleted || scan.ImagesDone != 4 {
		t.Errorf("scan: %+v", scan)
	}
}

// TestGoneTagsAreMarked deletes a repository's tag: only then, and only from a complete listing, it is gone.
func TestGoneTagsAreMarked(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		upstream, faults := fleet(t, 3)
		s := start(t, app.Config{Database: database, Advisories: []string{upstream.Host + "/none:1"}})
		r := s.declare(t, faults.URL)
		s.finished(t)
		faults.Add(t, testkit.Fault{Path: `/v2/team/app-01/tags/list`, Status: http.StatusOK, Body: `{"name":"team/app-01","tags":null}`})
		if scan := s.rescan(t, r); scan.State != tidewaiter.ScanCompleted {
			t.Fatalf("scan: %s %s", scan.State, scan.Error)
		}
		rows := s.results(t)
		if _, shown := rows["team/app-01:v1"]; shown || len(rows) != 2 {
			t.Errorf("a gone tag is shown: %v", rows)
		}
		faults.Clear()
		s.rescan(t, r)
		if rows := s.results(t); len(rows) != 3 {
			t.Errorf("the tag did not come back: %d rows", len(rows))
		}
	})
}

// TestMovedTagShowsTheOldImageUntilTheNewOneIsJudged breaks the new image's layer.
func TestMovedTagShowsTheOldImageUntilTheNewOneIsJudged(t *testing.T) {
	t.Parallel()
	upstream, faults := fleet(t, 1)
	s := start(t, app.Config{Advisories: []string{upstream.Host + "/none:1"}})
	r := s.declare(t, faults.URL)
	s.finished(t)
	before := s.results(t)["team/app-00:v1"]

	moved := samples.NewImage().Step("new", samples.File("new", "content")).MustBuild()
	push(t, upstream.URL, "team/app-00", moved, "v1")
	faults.Add(t, testkit.Fault{Path: `/blobs/` + moved.Layers[0].Digest, Corrupt: true})
	s.rescan(t, r)
	row := s.results(t)["team/app-00:v1"]
	if row.Image == nil || row.Image.Digest != before.Image.Digest || row.Tag.Error == "" {
		t.Errorf("with a broken new image: %+v, error %q", row.Image, row.Tag.Error)
	}
	if row.Tag.ErrorKind != tidewaiter.ErrMalformed {
		t.Errorf("the error is of kind %s: %s", row.Tag.ErrorKind, row.Tag.Error)
	}

	faults.Clear()
	s.rescan(t, r)
	row = s.results(t)["team/app-00:v1"]
	if row.Image == nil || row.Image.Digest != moved.Digest || row.Tag.Error != "" {
		t.Errorf("after the repair: %+v, error %q", row.Image, row.Tag.Error)
	}
}

// TestHostileLayers scans images whose layers are made to harm: each has an error of its own and the rest goes on.
func TestHostileLayers(t *testing.T) {
	t.Parallel()
	registry := testkit.Registry(t, testkit.Options{})
	bomb, err := samples.GzipBomb(8 << 30)
	if err != nil {
		t.Fatal(err)
	}
	truncated, err := samples.Truncated()
	if err != nil {
		t.Fatal(err)
	}
	header, err := samples.HugeHeader(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := samples.WrongDiffID()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*samples.Manifest{
		"bomb": samples.NewImage().Add(bomb).MustBuild(), "truncated": samples.NewImage().Add(truncated).MustBuild(),
		"header": samples.NewImage().Add(header).MustBuild(), "garbage": samples.NewImage().Add(samples.Garbage()).MustBuild(),
		"wrong": wrong,
	} {
		push(t, registry.URL, "bad/"+name, m, "v1")
	}
	push(t, registry.URL, "good/escapes", samples.NewImage().Layer(samples.Escapes()...).MustBuild(), "v1")
	push(t, registry.URL, "good/plain", samples.NewImage().Step("x", samples.File("a", "b")).MustBuild(), "v1")

	began := time.Now()
	s := start(t, app.Config{Advisories: []string{registry.Host + "/none:1"}})
	r := s.declare(t, registry.URL)
	scan := s.finished(t)[r.ID]
	t.Logf("took %s", time.Since(began).Round(time.Millisecond))
	if scan.State != tidewaiter.ScanCompleted || scan.ImagesFailed != 5 || scan.ImagesDone != 2 {
		t.Errorf("scan: %+v", scan)
	}
	for name, row := range s.results(t) {
		if bad := strings.HasPrefix(name, "bad/"); bad != (row.Tag.Error != "") || bad == (row.Image != nil && row.Image.Judgement != nil) {
			t.Errorf("%s: error %q, image %+v", name, row.Tag.Error, row.Image)
		}
		if row.Tag.Error != "" && row.Tag.ErrorKind != tidewaiter.ErrMalformed && row.Tag.ErrorKind != tidewaiter.ErrTooLarge {
			t.Errorf("%s: error of kind %s: %s", name, row.Tag.ErrorKind, row.Tag.Error)
		}
	}
}
