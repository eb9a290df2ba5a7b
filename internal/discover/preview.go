package discover

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// PreviewLimits bound a preview. What is zero has the default.
type PreviewLimits struct {
	Repositories int           `json:"repositories,omitempty"` // in scope, whose tags are listed; 50, at most 1,000
	Excluded     int           `json:"excluded,omitempty"`     // out of scope, to be shown; 200, at most 1,000; the others are counted
	Tags         int           `json:"tags,omitempty"`         // shown of each repository; 20, at most 1,000; the others are counted
	Requests     int           `json:"requests,omitempty"`     // to the registry; 500, at most 10,000; a few more may be under way by then
	Time         time.Duration `json:"-"`                      // 30 s
}

func (l PreviewLimits) withDefaults() PreviewLimits {
	bound := func(n, usual, most int) int {
		if n <= 0 {
			return usual
		}
		return min(n, most)
	}
	l.Repositories, l.Excluded = bound(l.Repositories, 50, 1000), bound(l.Excluded, 200, 1000)
	l.Tags, l.Requests = bound(l.Tags, 20, 1000), bound(l.Requests, 500, 10_000)
	if l.Time <= 0 {
		l.Time = 30 * time.Second
	}
	return l
}

// Preview asks a registry what a scope selects and what it leaves out, and stores nothing.
type Preview struct {
	Source   Source
	Scope    tidewaiter.Scope
	Limits   PreviewLimits
	After    string                         // the Next of an earlier preview; "" begins
	Requests func() map[oci.RequestKind]int // how many were made through Source so far
	Known    func(ctx context.Context, digest string) (time.Time, error)
	Rotation Rotation // what the estimate of a second pass goes by
	Now      func() time.Time
}

// PreviewedRepository is one repository, with its tags when it is in scope.
type PreviewedRepository struct {
	Name     string              `json:"name"`
	Decision tidewaiter.Decision `json:"decision"`

	Tags         []PreviewedTag            `json:"tags,omitempty"` // selected ones first, at most as many as the limit
	TagsSeen     int                       `json:"tagsSeen"`
	TagsSelected int                       `json:"tagsSelected"`
	LeftOut      map[tidewaiter.Reason]int `json:"leftOut,omitempty"` // tags by the reason why
	CutShort     string                    `json:"cutShort,omitempty"`

	ErrorKind tidewaiter.ErrorKind `json:"errorKind,omitempty"` // its tags could not be listed
	Error     string               `json:"error,omitempty"`

	heads int // of selected tags whose digest the listing did not say
}

// PreviewedTag is one tag.
type PreviewedTag struct {
	Name      string              `json:"name"`
	Digest    string              `json:"digest,omitempty"`
	UpdatedAt time.Time           `json:"updatedAt,omitzero"`
	Decision  tidewaiter.Decision `json:"decision"`
}

// PreviewSummary is what a preview adds up to.
type PreviewSummary struct {
	Repositories         int                       `json:"repositories"` // seen
	RepositoriesSelected int                       `json:"repositoriesSelected"`
	RepositoriesListed   int                       `json:"repositoriesListed"` // of these, whose tags were looked at
	RepositoriesFailed   int                       `json:"repositoriesFailed"`
	RepositoriesLeftOut  map[tidewaiter.Reason]int `json:"repositoriesLeftOut,omitempty"`
	Tags                 int                       `json:"tags"` // seen
	TagsSelected         int                       `json:"tagsSelected"`
	TagsLeftOut          map[tidewaiter.Reason]int `json:"tagsLeftOut,omitempty"`

	Requests   Cost `json:"requests"`   // what this preview took
	FirstPass  Cost `json:"firstPass"`  // of a scan's listing, with nothing known
	SecondPass Cost `json:"secondPass"` // of the next, with nothing changed
	// Rotation is how many known tags are asked again for their digest within each RotationWithin, in addition: where the
	// listing does not say it.
	Rotation       int    `json:"rotation,omitempty"`
	RotationWithin string `json:"rotationWithin,omitempty"`

	CutShort string   `json:"cutShort,omitempty"` // why not everything was looked at; "" when it was
	Next     string   `json:"next,omitempty"`     // goes on from there
	Notes    []string `json:"notes,omitempty"`
}

// Run looks at the repositories in the registry's order and hands each to emit, one at a time. What cannot be listed of one
// repository is noted with it; an error ends the preview only where the list of repositories cannot be read at all, or emit
// returns it.
func (p Preview) Run(ctx context.Context, emit func(PreviewedRepository) error) (PreviewSummary, error) {
	p.Limits = p.Limits.withDefaults()
	if p.Requests == nil {
		p.Requests = func() map[oci.RequestKind]int { return nil }
	}
	at, err := parsePreviewPlace(p.After)
	if err != nil {
		return PreviewSummary{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Limits.Time, errPreviewTime)
	defer cancel()
	run := &previewRun{Preview: p, emit: emit, before: p.Requests()}
	run.sum.RepositoriesLeftOut, run.sum.TagsLeftOut = map[tidewaiter.Reason]int{}, map[tidewaiter.Reason]int{}
	err = run.all(ctx, at)
	if err != nil && errors.Is(context.Cause(ctx), errPreviewTime) {
		run.cut("the time was up")
		err = nil
	}
	if err != nil {
		return run.sum, err
	}
	run.estimate()
	return run.sum, nil
}

var errPreviewTime = errors.New("the time for the preview is up")
