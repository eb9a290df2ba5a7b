package app_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestForcedRejudgeMatchesEverything spoils what is stored of one package behind the server's back. The same advisories do not
// bring it back; force does, and everything else comes out as it was. No registry is asked.
func TestForcedRejudgeMatchesEverything(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		dir := t.TempDir()
		registry := sampleRegistry(t)
		s := start(t, app.Config{Data: dir, Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		s.declare(t, registry.URL)
		s.finished(t)
		before := s.results(t)
		pulled := s.metric(t, "tidewaiter_layer_bytes_pulled_total")
		admin, err := client.New(s.URL(), client.Basic("admin", adminPassword))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := admin.Rejudging(t.Context()); err != nil || !r.Done || r.Forced || r.Images == 0 {
			t.Fatalf("before: %+v, %v", r, err)
		}

		image := s.spoil(t, dir, database, before)
		rejudge := func(force bool) *client.Rejudging {
			t.Helper()
			r, err := admin.Rejudge(t.Context(), client.RejudgeRequest{Force: force})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the fleet is judged", func() bool {
				if r, err = admin.Rejudging(t.Context()); err != nil {
					t.Fatal(err)
				}
				return r.Done
			})
			return r
		}
		rejudge(false)
		if res, err := s.control.Result(t.Context(), image); err != nil || findingsIn(res) != 0 {
			t.Fatalf("what was spoiled is back without force: %v", err)
		}
		if r := rejudge(true); !r.Forced || r.PackagesLeft != 0 || r.AskedAt.IsZero() {
			t.Errorf("by force: %+v", r)
		}
		after := s.results(t)
		for name, row := range before {
			got := after[name]
			if diff := cmp.Diff(row.Image.Judgement, got.Image.Judgement, cmpopts.IgnoreFields(tidewaiter.Judgement{}, "JudgedAt")); diff != "" {
				t.Errorf("%s is judged otherwise: %s", name, diff)
			}
			if !got.Image.Judgement.JudgedAt.After(row.Image.Judgement.JudgedAt) {
				t.Errorf("%s was not judged again", name)
			}
			res, err := s.control.Result(t.Context(), got.Image.ID)
			if err != nil || findingsIn(res) != got.Image.Judgement.Vulnerabilities.Total() {
				t.Errorf("%s: %d findings, %d are counted: %v", name, findingsIn(res), got.Image.Judgement.Vulnerabilities.Total(), err)
			}
		}
		if got := s.metric(t, "tidewaiter_layer_bytes_pulled_total"); got != pulled {
			t.Errorf("%v bytes were pulled", got-pulled)
		}
	})
}

// spoil removes the findings of every package of an image that has some, in the store, and returns the image.
func (s *server) spoil(t *testing.T, dir, database string, rows map[string]control.Row) int64 {
	t.Helper()
	if database == "" {
		database = filepath.Join(dir, "tidewaiter.db")
	}
	db, err := store.Open(t.Context(), store.Config{URL: database, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, row := range rows {
		res, err := s.control.Result(t.Context(), row.Image.ID)
		if err != nil {
			t.Fatal(err)
		}
		if findingsIn(res) == 0 {
			continue
		}
		none := map[int64][]tidewaiter.Finding{}
		for id := range res.Findings {
			none[id] = nil
		}
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.SaveFindings(context.WithoutCancel(t.Context()), row.Image.Judgement.Advisories, none, nil, time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		return row.Image.ID
	}
	t.Fatal("no image has a finding")
	return 0
}

func findingsIn(r *tidewaiter.Result) int {
	n, seen := 0, map[int64]bool{}
	for _, in := range r.Content.Installed {
		if !seen[in.Package.ID] {
			seen[in.Package.ID] = true
			n += len(r.Findings[in.Package.ID])
		}
	}
	return n
}
