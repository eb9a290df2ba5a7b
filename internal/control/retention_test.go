package control_test

import (
	"errors"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestPurgeKeepsAsLongAsItIsTold: what happened is kept a year, or as long as the server was told.
func TestPurgeKeepsAsLongAsItIsTold(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	if err := h.store.Update(ctx, func(tx *store.Tx) (err error) {
		for _, days := range []int{400, 200, 1} {
			err = errors.Join(err, tx.Audit(ctx, store.AuditEntry{At: h.now.AddDate(0, 0, -days), Action: "test"}))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	purge := func() int {
		p, err := h.Purge(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return p.Audit
	}
	if n := purge(); n != 1 {
		t.Errorf("%d entries removed that are older than a year", n)
	}
	if err := h.SetRetention(ctx, control.Retention{History: 100}); err != nil {
		t.Fatal(err)
	}
	if n := purge(); n != 1 {
		t.Errorf("%d entries removed that are older than a hundred days", n)
	}
}

// TestRetention: what the server was told goes before what Prisma's API said, and that before the default.
func TestRetention(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	want := func(want control.Retention) {
		t.Helper()
		if got, err := h.Retention(ctx); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want(control.DefaultRetention())
	must(h.PutSetting(ctx, control.SettingRetentionDays, "12"))
	want(control.Retention{Gone: 12, History: 365, Changes: 90, Events: 7, Deliveries: 7, Dead: 30})
	must(h.SetRetention(ctx, control.Retention{Gone: 5, Events: 2, Dead: 3650}))
	want(control.Retention{Gone: 5, History: 365, Changes: 90, Events: 2, Deliveries: 7, Dead: 3650})
	must(h.SetRetention(ctx, control.Retention{})) // started without flags
	must(h.PutSetting(ctx, control.SettingRetentionDays, "0"))
	want(control.DefaultRetention())

	for _, bad := range []control.Retention{{Gone: -1}, {Dead: 3651}} {
		err := h.SetRetention(ctx, bad)
		if e, ok := errors.AsType[*tidewaiter.Error](err); !ok || e.Kind != tidewaiter.ErrInvalid || e.Field == "" || e.Fix == "" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	must(h.PutSetting(ctx, control.SettingRetentionDays, "many"))
	if _, err := h.Purge(ctx); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		t.Errorf("a setting that is no number: %v", err)
	}
}
