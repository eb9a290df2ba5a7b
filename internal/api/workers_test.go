package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// lanes takes notes, as jobs does.
type lanes struct{ paused map[tidewaiter.Lane]bool }

func newLanes() *lanes { return &lanes{map[tidewaiter.Lane]bool{}} }

func (l *lanes) States(context.Context) (map[tidewaiter.Lane]control.LaneState, error) {
	out := map[tidewaiter.Lane]control.LaneState{}
	for _, lane := range tidewaiter.Lanes() {
		out[lane] = control.LaneState{Paused: l.paused[lane], Waiting: len(lane)}
	}
	return out, nil
}

func (l *lanes) Pause(_ context.Context, lane tidewaiter.Lane) error {
	l.paused[lane] = true
	return nil
}

func (l *lanes) Resume(_ context.Context, lane tidewaiter.Lane) error {
	delete(l.paused, lane)
	return nil
}

func (*lanes) CancelIn(context.Context, tidewaiter.Lane, []string) error { return nil }

func TestWorkersAreListed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		for id, at := range map[string]time.Time{"here-1": time.Now(), "gone-1": time.Now().Add(-10 * time.Minute)} {
			s.must(s.store.Update(t.Context(), func(tx *store.Tx) error {
				return tx.Heartbeat(t.Context(), store.Worker{ID: id, Name: "edge", HeartbeatAt: at, Labels: []string{"zone=dmz", "host=edge"}, Running: 3,
					Lanes: map[tidewaiter.Lane]int{tidewaiter.LaneFresh: 4}, Advisories: "v1", Version: "1.2.3"})
			}))
		}
		got, err := s.as(tidewaiter.RoleAuditor).Workers(t.Context())
		s.must(err)
		if len(got.Items) != 2 || got.Items[0].Alive || !got.Items[1].Alive {
			t.Fatalf("got %+v", got.Items)
		}
		w := got.Items[1]
		if w.Name != "edge" || w.Running != 3 || w.Lanes["fresh"] != 4 || !slices.Contains(w.Labels, "zone=dmz") || w.Advisories != "v1" {
			t.Errorf("got %+v", w)
		}
	})
}

func TestLanesArePausedAndResumed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		operator := s.as(tidewaiter.RoleOperator)
		s.must(operator.PauseLane(t.Context(), "rescan"))
		got, err := operator.Lanes(t.Context())
		s.must(err)
		if len(got.Items) != 5 || got.Items[0].Name != "interactive" || got.Items[0].Paused || !got.Items[3].Paused || got.Items[3].Waiting != 6 {
			t.Errorf("got %+v", got.Items)
		}
		s.must(operator.ResumeLane(t.Context(), "rescan"))
		if got, err = operator.Lanes(t.Context()); err != nil || got.Items[3].Paused {
			t.Errorf("got %+v, %v", got, err)
		}
		if out, err := operator.CancelLane(t.Context(), "fresh"); err != nil || out.Scans != 0 {
			t.Errorf("got %+v, %v", out, err)
		}
		if e, ok := errors.AsType[*client.Error](operator.PauseLane(t.Context(), "slow")); !ok || e.Status != 422 || !strings.Contains(e.Detail, "lane") {
			t.Errorf("got %+v", e)
		}
		s.wantProblem(s.as(tidewaiter.RoleAuditor).PauseLane(t.Context(), "rescan"), 403, tidewaiter.ErrForbidden)
	})
}

func TestRegistryIsPausedAndResumed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		r, err := s.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://a.example", Origin: tidewaiter.OriginNative}, false)
		s.must(err)
		operator := s.as(tidewaiter.RoleOperator)
		for _, step := range []struct {
			do     func(context.Context, string) error
			paused bool
		}{{operator.PauseRegistry, true}, {operator.PauseRegistry, true}, {operator.ResumeRegistry, false}} {
			s.must(step.do(t.Context(), r.ID))
			if got, err := s.control.Registry(t.Context(), r.ID); err != nil || got.PausedAt.IsZero() == step.paused {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		s.wantProblem(operator.PauseRegistry(t.Context(), "nobody"), 404, tidewaiter.ErrNotFound)
		s.wantProblem(s.as(tidewaiter.RoleCI).PauseRegistry(t.Context(), r.ID), 403, tidewaiter.ErrForbidden)
	})
}
