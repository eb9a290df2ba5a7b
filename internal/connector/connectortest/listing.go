package connectortest

import (
	"slices"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Repositories reads the list to its end, opening the registry anew for each page, and returns the names and the number of
// pages.
func (s *Subject) readRepositories(t *testing.T) (names []string, pages int) {
	t.Helper()
	for cursor := ""; ; {
		some, next, err := s.Open(t).Repositories(t.Context(), cursor)
		if err != nil {
			t.Fatalf("page %d: %v", pages+1, err)
		}
		names = append(names, some...)
		if pages++; next == "" {
			return names, pages
		}
		cursor = next
	}
}

// readTags reads the tags of a repository to their end; open gives the registry to read each page from. What the first page
// says of a tag counts.
func readTags(t *testing.T, open func() *connector.Source, repository string) (tags []tidewaiter.ListedTag, pages int) {
	t.Helper()
	seen := map[string]bool{}
	for cursor := ""; ; {
		some, next, err := open().Tags(t.Context(), repository, cursor)
		if err != nil {
			t.Fatalf("page %d of %s: %v", pages+1, repository, err)
		}
		for _, tag := range some {
			if !seen[tag.Name] {
				seen[tag.Name] = true
				tags = append(tags, tag)
			}
		}
		if pages++; next == "" {
			return tags, pages
		}
		cursor = next
	}
}

// Lists holds the lists against what is there, read by a new connector for each page, and against what Capabilities
// promise. It returns how many pages the longest list had.
func (s *Subject) Lists(t *testing.T) (repositoryPages, tagPages int) {
	t.Helper()
	names, repositoryPages := s.readRepositories(t)
	got, want := slices.Compact(slices.Sorted(slices.Values(names))), slices.Sorted(slices.Values(s.Repositories))
	if !slices.Equal(got, want) {
		t.Fatalf("%d repositories %.300q, want %d %.300q", len(got), got, len(want), want)
	}
	for _, name := range s.Repositories[:min(3, len(s.Repositories))] {
		tags, pages := readTags(t, func() *connector.Source { return s.Open(t) }, name)
		tagPages = max(tagPages, pages)
		s.holdTags(t, name, tags)
	}
	return repositoryPages, tagPages
}

func (s *Subject) holdTags(t *testing.T, repository string, tags []tidewaiter.ListedTag) {
	t.Helper()
	can, ok := connector.CapabilitiesOf(s.Registry.Kind)
	if !ok {
		t.Fatalf("no capabilities of %s", s.Registry.Kind)
	}
	if len(tags) != s.Tags(repository) {
		t.Errorf("%d tags in %s, want %d", len(tags), repository, s.Tags(repository))
	}
	for i, tag := range tags {
		want := s.Digest(repository, tag.Name)
		switch {
		case want == "":
			t.Errorf("%s:%s is not there", repository, tag.Name)
		case tag.Digest != "" && tag.Digest != want:
			t.Errorf("%s:%s is %s, want %s", repository, tag.Name, tag.Digest, want)
		case can.DigestInListing != (tag.Digest != ""):
			t.Errorf("%s:%s: digest %q, and the capabilities say %v", repository, tag.Name, tag.Digest, can.DigestInListing)
		case (can.TimeInListing != "") == tag.UpdatedAt.IsZero():
			t.Errorf("%s:%s: time %v, and the capabilities say %q", repository, tag.Name, tag.UpdatedAt, can.TimeInListing)
		case can.NewestFirst && i > 0 && tag.UpdatedAt.After(tags[i-1].UpdatedAt):
			t.Errorf("%s:%s is newer than the tag before it", repository, tag.Name)
		}
		if t.Failed() {
			return
		}
	}
}

// Concurrently lists and pulls from many goroutines with one connector.
func (s *Subject) Concurrently(t *testing.T) {
	t.Helper()
	source := s.Open(t)
	var group sync.WaitGroup
	for i := range 16 {
		name := s.Repositories[i%len(s.Repositories)]
		group.Go(func() {
			tags, next, err := source.Tags(t.Context(), name, "")
			for err == nil && len(tags) == 0 && next != "" {
				tags, next, err = source.Tags(t.Context(), name, next)
			}
			if err != nil || len(tags) == 0 {
				t.Errorf("tags of %s: %d, %v", name, len(tags), err)
				return
			}
			if _, err := source.Head(t.Context(), name, tags[0].Name); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
