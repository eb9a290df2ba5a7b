package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// databasesLimit is what a server of four workers may take at its peak while all of them read such databases. It is more than
// for other hostile layers: each may list fifty thousand packages, which are in memory while they are analysed, merged and
// stored.
const databasesLimit = 512 << 20

// textLimit is the largest package database of text that is parsed, in bytes.
const textLimit = 16 << 20

// TestLargeDatabasesStayInMemory scans layers whose package databases list as much as fits, several at a time, in a process of
// its own, and looks at how large it became. Each image has a result, which says when it is not whole.
func TestLargeDatabasesStayInMemory(t *testing.T) {
	if testkit.UnderRace {
		t.Skip("the race detector takes memory of its own")
	}
	registry := testkit.Registry(t, testkit.Options{})
	const dpkg, apk = "var/lib/dpkg/status", "lib/apk/db/installed"
	stanza := func(i int) string {
		return fmt.Sprintf("Package: p%d\nStatus: install ok installed\nVersion: 1\n\n", i)
	}
	incomplete := map[string]bool{}
	for name, db := range map[string]struct {
		path, text string
		whole      bool
	}{
		"db/dpkg-at-the-limit": {dpkg, filled(textLimit, stanza), false},
		"db/dpkg-beyond":       {dpkg, filled(40<<20, stanza), false},
		"db/dpkg-shortest":     {dpkg, filled(textLimit, func(i int) string { return fmt.Sprintf("Package:%x\nVersion:1\n\n", i) }), false},
		"db/dpkg-no-end":       {dpkg, filled(textLimit, func(i int) string { return fmt.Sprintf("K%d: v\n", i) }), false},
		"db/dpkg-many-fields":  {dpkg, filled(textLimit, manyFields), true},
		"db/apk-at-the-limit":  {apk, filled(textLimit, func(i int) string { return fmt.Sprintf("P:p%d\nV:1-r0\n\n", i) }), false},
		"db/apk-files":         {apk, "P:p\nV:1-r0\n" + filled(textLimit-16, func(i int) string { return fmt.Sprintf("R:%x\n", i) }), false},
		"db/apk-beyond":        {apk, filled(40<<20, func(i int) string { return fmt.Sprintf("P:p%d\nV:1-r0\n\n", i) }), false},
	} {
		layer, err := samples.NewLayer(samples.Gzip, samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n"), samples.File(db.path, db.text))
		if err != nil {
			t.Fatal(err)
		}
		push(t, registry.URL, name, samples.NewImage().Add(layer).MustBuild(), "v1")
		incomplete[name+":v1"] = !db.whole
	}
	c := childSettings{Data: t.TempDir(), Workers: 4, Advisories: []string{registry.Host + "/none:1"}}
	p := spawn(t, c)
	p.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []map[string]any{{"version": "2", "registry": registry.URL}}})
	p.scanned(t)
	peak := peakMemory(t, p.cmd.Process.Pid)
	t.Logf("at most %d MiB", peak>>20)
	if peak > databasesLimit {
		t.Errorf("the server took %d MiB, more than %d", peak>>20, databasesLimit>>20)
	}
	p.terminate(t)

	rows := reopen(t, c).results(t)
	if len(rows) != len(incomplete) {
		t.Errorf("%d rows, want %d", len(rows), len(incomplete))
	}
	for name, cut := range incomplete {
		row := rows[name]
		if row.Image == nil || row.Image.Judgement == nil || row.Tag.ErrorKind != "" || row.Image.Judgement.Incomplete != cut {
			t.Errorf("%s: %s %q, image %+v; want incomplete: %v", name, row.Tag.ErrorKind, row.Tag.Error, row.Image, cut)
		}
	}
}

// filled is a text of exactly so many bytes: pieces, then blank lines.
func filled(size int, piece func(i int) string) string {
	var b strings.Builder
	b.Grow(size)
	for i := 0; ; i++ {
		next := piece(i)
		if b.Len()+len(next) > size {
			b.WriteString(strings.Repeat("\n", size-b.Len()))
			return b.String()
		}
		b.WriteString(next)
	}
}

// manyFields is a package of almost as many bytes as a stanza may have, all of them short fields.
func manyFields(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Package: p%d\nStatus: install ok installed\nVersion: 1\n", i)
	for n := 0; b.Len() < 900<<10; n++ {
		fmt.Fprintf(&b, "K%d: v\n", n)
	}
	return b.String() + "\n"
}
