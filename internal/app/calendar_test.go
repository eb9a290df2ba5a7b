package app_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestTwoServersRunEachScheduleOnce has ten schedules due when two servers start on one database, each with a calendar of its
// own.
func TestTwoServersRunEachScheduleOnce(t *testing.T) {
	t.Parallel()
	database, data := testkit.Postgres(t), t.TempDir()
	registry := testkit.Registry(t, testkit.Options{})
	image := samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n")).MustBuild()
	advisories := []string{registry.Host + "/none:1"}
	first := start(t, app.Config{Database: database, Data: data, Advisories: advisories})
	plans := map[string]bool{}
	for i := range 10 {
		repository := fmt.Sprintf("team/app-%d", i)
		push(t, registry.URL, repository, image, "1")
		r, err := first.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: registry.URL, Origin: tidewaiter.OriginNative,
			Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: repository}}}}, false)
		if err != nil {
			t.Fatal(err)
		}
		p, err := first.control.CreatePlan(t.Context(), &tidewaiter.Plan{RegistryID: r.ID, Name: repository,
			Schedule: tidewaiter.Schedule{Every: 24 * time.Hour, At: "03:00"}})
		if err != nil {
			t.Fatal(err)
		}
		plans[p.ID] = true
	}
	first.stop()

	db, err := store.Open(t.Context(), store.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		fmt.Sprintf("update plans set next_at = %d", time.Now().Add(-time.Minute).UnixMicro()),
		"delete from job_periods", // the minute, and whatever else comes back, is to be served anew
		"delete from river_job",
	} {
		if _, err := db.Writer().ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	key := secret.New(string(dataFile(t, data, "master.key")))
	var servers []*app.App
	for range 2 {
		a, err := app.New(t.Context(), app.Config{Listen: "127.0.0.1:0", Database: database, Data: t.TempDir(), MasterKey: key, Advisories: advisories,
			AllowLoopback: true, PlainHTTPAdvisories: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		servers = append(servers, a)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(stop)
	for _, a := range servers { // both are ready: neither has a start over the other
		running.Go(func() {
			if err := a.Run(ctx); err != nil {
				t.Errorf("a server ended with: %v", err)
			}
		})
	}
	counted := func(query string) (n int) {
		if err := db.Writer().QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "every schedule has run and the calendars rest", func() bool {
		return counted("select count(*) from plans where last_scan_id <> ''") == len(plans) &&
			counted("select count(*) from scans where state in ('queued', 'listing', 'scanning')") == 0 &&
			counted("select count(*) from river_job where kind = 'schedule' and state <> 'completed'") == 0
	})
	scans, _, err := servers[0].Control().Scans(t.Context(), control.ScanFilter{Page: control.Page{Limit: 100}})
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for _, s := range scans {
		ran[s.ScheduleID]++
		if !plans[s.ScheduleID] || s.State != tidewaiter.ScanCompleted {
			t.Errorf("scan %+v", s)
		}
	}
	for id := range plans {
		if ran[id] != 1 {
			t.Errorf("schedule %s ran %d times", id, ran[id])
		}
	}
}
