package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// What is discovered to count requests.
const (
	countedRepositories = 100
	countedTags         = 1000
	movedTags           = 10   // between the passes, each in a repository of its own
	requestsTarget      = 1100 // with a native API
)

// discoveryRequests counts what discovery asks of each kind of registry.
func discoveryRequests(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: fmt.Sprintf("Requests to discover %s repositories of %s tags", count(countedRepositories), count(countedTags)),
		about: "Each kind of registry in the emulator, which counts every request, those for logging in too. The second pass is made " +
			"right after ten tags have moved. Where the lists say digests it finds them; where not, known tags are asked for in turn, " +
			"all within the day, `latest` and its like within the hour. Nothing is pulled.",
		columns: []string{"kind", "tags listed by", "first pass", "second pass", "target for each", "first pass by type"},
	}
	for _, can := range connector.Kinds() {
		first, second, err := passes(ctx, filepath.Join(l.dir, "requests-"+string(can.Kind)), can.Kind, countedRepositories, countedTags)
		if err != nil {
			return t, fmt.Errorf("%s: %w", can.Kind, err)
		}
		target := ""
		if can.Tags == connector.ListingNative {
			target = against(float64(max(total(first), total(second))), requestsTarget, "")
		}
		t.add(string(can.Kind), string(can.Tags), count(total(first)), count(total(second)), target, byType(first))
	}
	t.notef("The distribution API lists names alone, so the digest of each tag is asked for: GitLab's own API would take as many " +
		"requests for that, and 1,000 more for its pages of 100 names.")
	t.notef("A page of the distribution API holds 1,000 names. One that is full is asked on even where it names no next, as some registries leave " +
		"that out: 1,000 tags take two requests, 999 one.")
	t.notef("Nexus decides on the size of its pages, which is 50 here, and has no larger ones.")
	t.notef("GHCR lists the images of a multi-platform index beside it: an index for two platforms is three of the 100 entries of a page.")
	return t, nil
}

// passes discovers an emulated registry twice and returns what was asked each time.
func passes(ctx context.Context, dir string, kind tidewaiter.RegistryKind, repositories, tags int) (first, second map[string]int, err error) {
	e, err := emulator.New(emulator.Options{Kind: emulator.Kind(kind), Repositories: repositories, Tags: tags, Indexes: -1, Artifacts: -1, TLS: true}) //nolint:contextcheck // it lives until Close
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	d, err := newDiscovery(ctx, dir, kind, e)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.pass(ctx, repositories*tags); err != nil {
		return nil, nil, err
	}
	first = e.Counts()
	for _, name := range e.Repositories()[:min(movedTags, repositories)] {
		if _, err := e.Move(name, "latest"); err != nil {
			return nil, nil, err
		}
	}
	e.Forget()
	err = d.pass(ctx, repositories*tags)
	return first, e.Counts(), err
}

// total is how many requests there were.
func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// byType names the requests, most frequent first.
func byType(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = count(counts[name]) + " × `" + name + "`"
	}
	return strings.Join(names, ", ")
}
