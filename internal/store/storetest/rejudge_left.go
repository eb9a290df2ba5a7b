package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testRejudgeLeft counts what is left of judging a fleet again.
func testRejudgeLeft(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b := pkg("a"), pkg("b")
	w.intern(a, b)
	w.matched("v1", a, finding("CVE-1", tidewaiter.SeverityLow))
	for _, name := range []string{"one", "two"} {
		img := image(name, "l")
		w.judged(name, img, judgement())
		w.judgedBy(img.ID, tidewaiter.Judgement{Advisories: "v1", Analyzer: analyzer, JudgedAt: start}, a)
	}
	left := func(version string, since time.Time) store.RejudgeLeft {
		t.Helper()
		return must(db.RejudgeLeft(t.Context(), version, since))(t)
	}
	same(t, "by these advisories", left("v1", time.Time{}), store.RejudgeLeft{Judged: 2})
	same(t, "by others", left("v2", time.Time{}), store.RejudgeLeft{Packages: 1, Images: 2, Judged: 2})
	same(t, "forced", left("v1", start.Add(time.Second)), store.RejudgeLeft{Images: 2, Judged: 2})
	same(t, "forced before", left("v1", start), store.RejudgeLeft{Judged: 2})
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.ForgetMatches(ctx) })
	same(t, "forgotten", left("v1", start), store.RejudgeLeft{Packages: 1, Judged: 2})
}
