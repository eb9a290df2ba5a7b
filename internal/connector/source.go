package connector

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// lister lists a registry by the API of its kind. Cursors are its own; "" begins and, returned, ends a list that was
// complete. An error ends it too soon.
type lister interface {
	repositories(ctx context.Context, cursor string) (names []string, next string, err error)
	tags(ctx context.Context, repository, cursor string) (tags []tidewaiter.ListedTag, next string, err error)
}

// Source is an open registry: it lists repositories and tags and gives out manifests, configs and blobs. It is safe for
// concurrent use. Errors are as those of oci.Registry.
type Source struct {
	registry *oci.Registry
	lister   lister
	name     func(string) string
	refusals refusals

	skipVerify bool // the registry's certificate is not verified
}

func newSource(registry *oci.Registry, conn *connection) *Source {
	s := &Source{registry: registry, lister: distribution{registry}, name: conn.name, skipVerify: conn.endpoint.TLS.SkipVerify}
	if conn.list != nil {
		s.lister = conn.list(registry)
	}
	if s.name == nil {
		s.name = func(name string) string { return name }
	}
	return s
}

// Host returns the host[:port] that the registry's image names begin with.
func (s *Source) Host() string { return s.registry.Host() }

// Ping asks whether the registry lets the credential in.
func (s *Source) Ping(ctx context.Context) error {
	return s.registry.Ping(oci.Asking(ctx, oci.RequestLogin))
}

// Registry returns the registry as the distribution API shows it.
func (s *Source) Registry() *oci.Registry { return s.registry }

// ListsBy says by what API the lists come, as this registry is declared and with this credential.
func (s *Source) ListsBy() Listing {
	if _, ok := s.lister.(distribution); ok {
		return ListingDistribution
	}
	return ListingNative
}

// Repositories returns one page of the registry's repositories. cursor is "" for the first page and then what next was; it
// can be stored and used by another process. next is "" only after the last page. A name may occur on several pages.
func (s *Source) Repositories(ctx context.Context, cursor string) (names []string, next string, err error) {
	at, err := parsePosition(cursor)
	if err != nil {
		return nil, "", err
	}
	names, after, err := s.lister.repositories(oci.Asking(ctx, oci.RequestRepositories), at.text)
	if err != nil {
		return nil, "", oci.Prefix("list repositories", err)
	}
	kept := names[:0]
	for _, n := range names {
		if usable(n) {
			kept = append(kept, n)
		}
	}
	next, err = at.next(after)
	return kept, next, err
}

// Tags returns one page of a repository's tags, as Repositories does. A tag may occur on several pages; what the first
// says of it counts. Digest and UpdatedAt are zero where the listing does not say.
func (s *Source) Tags(ctx context.Context, repository, cursor string) (tags []tidewaiter.ListedTag, next string, err error) {
	at, err := parsePosition(cursor)
	if err != nil {
		return nil, "", err
	}
	repository = s.name(repository)
	if err := oci.CheckRepository(repository); err != nil {
		return nil, "", err
	}
	tags, after, err := s.lister.tags(oci.Asking(ctx, oci.RequestTags), repository, at.text)
	if err != nil {
		return nil, "", oci.Prefix("list tags of "+repository, err)
	}
	kept := tags[:0]
	for _, t := range tags {
		if !usable(t.Name) {
			continue
		}
		if !oci.IsDigest(t.Digest) {
			t.Digest = ""
		}
		t.MediaType, t.Size = oci.CleanText(t.MediaType, 256), max(t.Size, 0)
		kept = append(kept, t)
	}
	next, err = at.next(after)
	return kept, next, err
}

// tagNames returns a page of tags by name alone.
func (s *Source) tagNames(ctx context.Context, repository, cursor string) ([]string, string, error) {
	tags, next, err := s.Tags(ctx, repository, cursor)
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.Name
	}
	return names, next, err
}

// Head asks what a tag or digest leads to.
func (s *Source) Head(ctx context.Context, repository, reference string) (tidewaiter.Descriptor, error) {
	return s.registry.Head(oci.Asking(ctx, oci.RequestDigest), s.name(repository), reference)
}

// Manifest reads what a tag or digest leads to.
func (s *Source) Manifest(ctx context.Context, repository, reference string) (*tidewaiter.Manifest, []byte, error) {
	return s.registry.Manifest(oci.Asking(ctx, oci.RequestManifest), s.name(repository), reference)
}

// Config reads an image's configuration.
func (s *Source) Config(ctx context.Context, repository string, d tidewaiter.Descriptor) (*oci.Config, []byte, error) {
	return s.registry.Config(oci.Asking(ctx, oci.RequestConfig), s.name(repository), d)
}

// Blob opens a blob for reading.
func (s *Source) Blob(ctx context.Context, repository string, d tidewaiter.Descriptor) (io.ReadCloser, error) {
	return s.registry.Blob(oci.Asking(ctx, oci.RequestBlob), s.name(repository), d)
}

// Referrers lists what refers to a manifest.
func (s *Source) Referrers(ctx context.Context, repository, digest string) ([]oci.Referrer, error) {
	return s.registry.Referrers(oci.Asking(ctx, oci.RequestReferrers), s.name(repository), digest)
}

// usable reports whether a stranger's name can be one; what cannot be asked for is left out of a list.
func usable(name string) bool {
	return name != "" && len(name) <= 512 && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// position is where a list goes on, with what keeps it from going round in circles for ever: the number of the page it
// leads to, and the fingerprint of the lister's cursor at the last page number that was a power of two. A circle of any
// length meets that fingerprint again (Brent's algorithm).
type position struct {
	page   int
	anchor uint64
	text   string // the lister's cursor
}

const maxPages = 1_000_000

func parsePosition(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	parts := strings.SplitN(s, ".", 3)
	if len(parts) == 3 && parts[2] != "" && len(s) <= 64<<10 {
		page, err := strconv.Atoi(parts[0])
		anchor, err2 := strconv.ParseUint(parts[1], 16, 64)
		if err == nil && err2 == nil && page > 0 && page <= maxPages {
			return position{page: page, anchor: anchor, text: parts[2]}, nil
		}
	}
	return position{}, badCursor()
}

func badCursor() error {
	return tidewaiter.Invalid("cursor", "the cursor is not one of ours").WithFix("start the listing over")
}

// next returns the text of the position after p; "" after the last page.
func (p position) next(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	n, print := p.page+1, h.Sum64()
	switch {
	case n > maxPages:
		return "", tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the listing has more than %d pages", maxPages)
	case text == p.text || p.page > 0 && print == p.anchor:
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the listing goes in circles: page %d leads back to a page already read", n)
	}
	anchor := p.anchor
	if n&(n-1) == 0 {
		anchor = print
	}
	return fmt.Sprintf("%d.%x.%s", n, anchor, text), nil
}

// distribution lists by the distribution API, which says nothing of a tag but its name.
type distribution struct{ registry *oci.Registry }

func (d distribution) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	return d.registry.Repositories(ctx, cursor)
}

func (d distribution) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	names, next, err := d.registry.Tags(ctx, repository, cursor)
	tags := make([]tidewaiter.ListedTag, len(names))
	for i, name := range names {
		tags[i].Name = name
	}
	return tags, next, err
}
