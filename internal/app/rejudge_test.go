package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestNewAdvisoriesRejudgeWithoutAPull replaces the advisories under a scanned fleet. The outcome is that of a server that
// had the new ones from the start, and no registry is asked for it.
func TestNewAdvisoriesRejudgeWithoutAPull(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		registry := sampleRegistry(t)
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		first := s.control.Advisories().Current.Version
		s.declare(t, registry.URL)
		s.finished(t)
		before := s.results(t)
		pulled := s.metric(t, "tidewaiter_layer_bytes_pulled_total")

		second := samples.Options{Advisories: samples.AdvisoryOptions{Edition: samples.SecondEdition, UpdatedAt: time.Now()}}
		if err := samples.Push(t.Context(), registry.URL, second); err != nil {
			t.Fatal(err)
		}
		if err := s.UpdateAdvisories(t.Context()); err != nil {
			t.Fatal(err)
		}
		var after map[string]int
		eventually(t, "every image judged by the new advisories", func() bool {
			after = map[string]int{}
			for name, row := range s.results(t) {
				if row.Image.Judgement.Advisories == first {
					return false
				}
				after[name] = row.Image.Judgement.Vulnerabilities.Total()
			}
			return true
		}, func() string { return fmt.Sprintf("advisories %+v", s.control.Advisories()) })
		if got := s.metric(t, "tidewaiter_layer_bytes_pulled_total"); got != pulled {
			t.Errorf("%v bytes were pulled to judge again", got-pulled)
		}
		changed := 0
		for name, row := range before {
			s.tellsWhatChanged(t, row.Image, after[name])
			if row.Image.Judgement.Vulnerabilities.Total() != after[name] {
				changed++
			}
		}
		if changed == 0 || changed == len(before) {
			t.Errorf("%d of %d images changed: the second edition is meant to touch some", changed, len(before))
		}

		fresh := start(t, app.Config{Advisories: advisoriesIn(registry)}).withAdvisories(t)
		fresh.declare(t, registry.URL)
		fresh.finished(t)
		want := fresh.results(t)
		for name, row := range s.results(t) {
			if diff := cmp.Diff(want[name].Image.Judgement, row.Image.Judgement, cmpopts.IgnoreFields(tidewaiter.Judgement{}, "JudgedAt")); diff != "" {
				t.Errorf("%s judged again differs from judged afresh: %s", name, diff)
			}
		}
	})
}

// tellsWhatChanged makes sure that what is kept of an image's change leads from its findings before to as many as after.
func (s *server) tellsWhatChanged(t *testing.T, before *tidewaiter.Image, after int) {
	t.Helper()
	changes, _, err := s.control.ImageChanges(t.Context(), before.Digest, control.Page{})
	if err != nil || len(changes) == 0 || changes[len(changes)-1].Cause != tidewaiter.ChangeFirst {
		t.Fatalf("%d changes, which do not begin with the first judgement: %v", len(changes), err)
	}
	total := before.Judgement.Vulnerabilities.Total()
	if len(changes) == 1 {
		if total != after {
			t.Errorf("%s went from %d findings to %d, and no change says so", before.Digest, total, after)
		}
		return
	}
	c := changes[0]
	if got := total + c.Counts.New - c.Counts.Gone; len(changes) != 2 || c.Cause != tidewaiter.ChangeAdvisories || got != after ||
		len(c.Findings) != c.Counts.Total() || c.After.Vulnerabilities.Total() != after {
		t.Errorf("%s went from %d findings to %d, and %d changes say %+v", before.Digest, total, after, len(changes), c)
	}
}
