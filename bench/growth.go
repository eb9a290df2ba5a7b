package main

import (
	"context"
	"fmt"
)

// growth measures how room, counting and lists grow with each of what a fleet has.
func growth(ctx context.Context, l *lab) (table, error) {
	t := table{
		title:   "Growth",
		about:   "Fleets that differ in one thing, on SQLite and on PostgreSQL: the lists of \"Lists of large fleets\", each asked for 15 times, and of them the one with the largest 95th percentile. ",
		columns: []string{"what grows", "images", "findings each", "registries", "database", "MB", "kB/image", "counting s", "slowest list", "p95 ms", "server MiB"},
		keys:    5,
	}
	base := inventory{registries: 100, applications: 200, images: 5000, packages: 280, findings: 100, vulnerabilities: 20_000}
	vary := func(what string, postgres bool, change func(*inventory)) error {
		f := fleetLists{postgres: postgres, inventory: base, lists: append(ourLists(), prismaLists()...)}
		change(&f.inventory)
		m, err := f.measure(ctx, l, 15)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		worst := 0
		for i := range m.took {
			if percentile(m.took[i], 95) > percentile(m.took[worst], 95) {
				worst = i
			}
		}
		database := "SQLite"
		if postgres {
			database = "PostgreSQL"
		}
		t.add(what, count(f.images), count(m.findings/int64(f.images)), count(f.registries), database, megabytes(m.bytes), fmt.Sprintf("%.1f", m.perImage(f.inventory)),
			fmt.Sprintf("%.1f", m.counted.Seconds()), f.lists[worst].name, milliseconds(m.took[worst], 95), mebibytes(m.peak))
		return nil
	}
	for _, postgres := range []bool{false, true} {
		for _, n := range []int{1000, 5000, 25_000} {
			if err := vary("images", postgres, func(inv *inventory) { inv.images = n }); err != nil {
				return t, err
			}
		}
		for _, n := range []int{25, 100, 400} {
			if err := vary("findings", postgres, func(inv *inventory) { inv.findings = n }); err != nil {
				return t, err
			}
		}
		for _, n := range []int{10, 100, 1000} {
			if err := vary("registries", postgres, func(inv *inventory) { inv.registries, inv.applications = n, max(n, inv.applications) }); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}
