package api_test

import (
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestRejudging asks for the fleet to be judged again, by whoever may, and reads how far that is.
func TestRejudging(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		operator := s.as(tidewaiter.RoleOperator)
		_, err := operator.Rejudge(t.Context(), client.RejudgeRequest{Force: true})
		if e := s.wantProblem(err, 409, tidewaiter.ErrConflict); e.Fix == "" {
			t.Error("without advisories: no fix")
		}
		s.judgedShop()
		s.must(s.store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.PutFleetAdvisories(t.Context(), tidewaiter.Advisories{Version: "v1"}, time.Now())
		}))
		_, err = s.as(tidewaiter.RoleAuditor).Rejudge(t.Context(), client.RejudgeRequest{})
		s.wantProblem(err, 403, tidewaiter.ErrForbidden)
		r, err := operator.Rejudge(t.Context(), client.RejudgeRequest{})
		s.must(err)
		if !r.Done || r.Forced || r.Images != 1 || r.Advisories != "v1" {
			t.Errorf("judged by these already: %+v", r)
		}
		first, err := operator.Rejudge(t.Context(), client.RejudgeRequest{Force: true})
		s.must(err)
		if first.Done || !first.Forced || first.ImagesLeft != 1 || first.AskedAt.IsZero() {
			t.Errorf("forced: %+v", first)
		}
		again, err := operator.Rejudge(t.Context(), client.RejudgeRequest{Force: true})
		s.must(err)
		if !again.AskedAt.Equal(first.AskedAt) {
			t.Errorf("asked for again while it is on its way: %+v, at first %+v", again, first)
		}
		if n := len(s.jobs.list); n != 3 || s.jobs.list[0].UniqueKey != "v1/false" || s.jobs.list[2].UniqueKey != "v1/true" {
			t.Errorf("jobs: %+v", s.jobs.list)
		}
		r, err = s.as(tidewaiter.RoleAuditor).Rejudging(t.Context())
		s.must(err)
		if *r != *again {
			t.Errorf("%+v, want %+v", r, again)
		}
	})
}
