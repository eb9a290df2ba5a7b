package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// fleetSize is large enough for planners to mind what they do.
const fleetSize = 20_000

func TestPlansSQLite(t *testing.T)   { testPlans(t, openSQLite) }
func TestPlansPostgres(t *testing.T) { testPlans(t, openPostgres) }

// testPlans makes sure that the lists people page through are read along an index instead of being sorted as a whole.
func testPlans(t *testing.T, open func(*testing.T) *store.DB) {
	t.Parallel()
	db := open(t)
	fill(t, db, fleetSize)
	queries := store.Recording(db)
	for _, sort := range []store.ResultSort{
		store.SortReference, store.SortScanTime, store.SortVulnerabilityRisk, store.SortComplianceRisk, store.SortCreated,
	} {
		for _, desc := range []bool{false, true} {
			f := store.ResultFilter{Sort: sort, Desc: desc, Page: store.Page{Limit: 50}}
			for page := range 2 {
				*queries = nil
				began := time.Now()
				rows, next, err := db.Results(t.Context(), f)
				if err != nil || len(rows) != 50 {
					t.Fatalf("%d rows, %v", len(rows), err)
				}
				t.Logf("by %s, desc %t, page %d: %s", sort, desc, page+1, time.Since(began).Round(100*time.Microsecond))
				inOrder(t, db, (*queries)[0])
				f.After = next
			}
		}
	}
	images := store.ImageFilter{Page: store.Page{Limit: 50}}
	for _, sort := range []store.ImageSort{store.ImagesByCreated, store.ImagesByUpdated} {
		images.Sort, *queries = sort, nil
		if list, _, err := db.Images(t.Context(), images); err != nil || len(list) != 50 {
			t.Fatalf("%d images, %v", len(list), err)
		}
		inOrder(t, db, (*queries)[0])
	}
	// A part that most names have is found along the order, too: the planner has to know that it is in most.
	images.Search, *queries = "team/app-", nil
	if list, _, err := db.Images(t.Context(), images); err != nil || len(list) != 50 {
		t.Fatalf("%d images, %v", len(list), err)
	}
	inOrder(t, db, (*queries)[0])
	for name, f := range map[string]store.ResultFilter{
		"search": {Search: "p-19"}, "registry": {RegistryIDs: []string{"reg"}}, "severity": {MinSeverity: tidewaiter.SeverityHigh},
	} {
		began := time.Now()
		if _, _, err := db.Results(t.Context(), f); err != nil {
			t.Error(err)
		}
		listed := time.Since(began)
		if _, err := db.CountResults(t.Context(), f); err != nil {
			t.Error(err)
		}
		t.Logf("%s: listed in %s, counted in %s", name, listed.Round(100*time.Microsecond), (time.Since(began) - listed).Round(100*time.Microsecond))
	}
}

// inOrder fails the test when the plan of a query sorts all of its rows.
func inOrder(t *testing.T, db *store.DB, query string) {
	t.Helper()
	explain := "explain query plan "
	if db.Dialect() == store.Postgres {
		explain = "explain "
	}
	rows, err := db.Writer().QueryContext(t.Context(), explain+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var line string
		if db.Dialect() == store.Postgres {
			err = rows.Scan(&line)
		} else {
			var a, b, c int
			err = rows.Scan(&a, &b, &c, &line)
		}
		if err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	text := strings.Join(plan, "\n")
	// An incremental sort, or one of the last term alone, puts the few rows of equal rank in order.
	sorted := strings.Contains(strings.ReplaceAll(text, "Incremental Sort", ""), "Sort  (") || strings.Contains(text, "TEMP B-TREE FOR ORDER BY")
	if sorted || err != nil || rows.Err() != nil {
		t.Errorf("everything is sorted for\n%s\n%s", query, text)
	}
}

// fill makes a fleet of n judged images, each with a tag, in a hundred repositories.
func fill(t *testing.T, db *store.DB, n int) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		now := time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
		if err := tx.InsertRegistries(t.Context(), []*tidewaiter.Registry{{ID: "reg", URL: "https://h"}}); err != nil {
			return err
		}
		var repositories []store.RepositoryDecision
		for i := range 100 {
			repositories = append(repositories, store.RepositoryDecision{
				Name: fmt.Sprintf("team/app-%02d", i), Decision: tidewaiter.Decision{Included: true},
			})
		}
		ids, err := tx.RecordRepositories(t.Context(), "reg", "scan", "h", repositories)
		if err != nil {
			return err
		}
		return fillRows(t.Context(), db, tx, ids["team/app-00"], n, now)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Writer().ExecContext(t.Context(), "analyze"); err != nil {
		t.Fatal(err)
	}
}

// fillRows writes the rows in one statement a table: what it would take hours to bring about the usual way.
func fillRows(ctx context.Context, db *store.DB, tx *store.Tx, firstRepository int64, n int, now time.Time) error {
	numbers := fmt.Sprintf("with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) ", n)
	for _, insert := range []string{
		numbers + fmt.Sprintf(`insert into tags (id, repository_id, name, reference, digest, updated_at, first_seen, last_seen, changed_at, gone_at, error_kind, error, error_at)
			select i, %d + i %% 100, 'v' || i, 'h/team/app-' || (10 + i %% 90) || ':v' || i, 'd' || i, 0, 1, 1, 0, 0, '', '', 0 from n`, firstRepository),
		numbers + fmt.Sprintf(`insert into images (id, digest, config_digest, media_type, os, architecture, variant, os_version, size, created_at, doc, state, error_kind, error,
				first_seen, updated_at, judged_at, vuln_risk, check_risk, worst, analyzer, advisories, vuln_critical)
			select i, 'd' || i, 'c' || i, 'm', 'linux', 'amd64', '', '', i, %d + i, '', 'judged', '', '', 1, i, %d + i, (i * 7919) %% 1000, i %% 13, i %% 6, 'a', 'b', i %% 3 from n`,
			now.UnixMicro(), now.UnixMicro()),
		"insert into tag_images (tag_id, image_id, digest, shown) select id as tag, id as image, digest, true from tags",
		"insert into registry_tags (registry_id, tag_id, scan_id) select 'reg', id, 'scan' from tags",
	} {
		var err error
		if db.Dialect() == store.Postgres {
			_, err = tx.Pgx().Exec(ctx, insert)
		} else {
			_, err = tx.SQL().ExecContext(ctx, insert)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
