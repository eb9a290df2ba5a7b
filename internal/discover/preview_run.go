package discover

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// previewPlace is where a preview goes on: a page of repositories, and how many of it have been looked at.
type previewPlace struct {
	Cursor string `json:"c,omitempty"`
	Skip   int    `json:"s,omitempty"`
}

func (p previewPlace) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		return "" // two plain fields: it cannot fail
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePreviewPlace(s string) (p previewPlace, err error) {
	if s == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Skip < 0 || len(s) > 64<<10 {
		return p, tidewaiter.Invalid("after", "the cursor is not one of ours").WithFix("start the preview over")
	}
	return p, nil
}

type previewRun struct {
	Preview
	emit   func(PreviewedRepository) error
	before map[oci.RequestKind]int // requests
	sum    PreviewSummary

	excluded  int // shown
	heads     int // selected tags whose digest has to be asked for
	namesRead bool
	tagsCut   atomic.Bool // of some repository
	untimed   atomic.Int64
}

func (r *previewRun) cut(why string) {
	if r.sum.CutShort == "" {
		r.sum.CutShort = why
	}
}

// spent is how many requests this preview has made, by what they were for.
func (r *previewRun) spent() Cost {
	by := r.Requests()
	for kind, n := range r.before {
		by[kind] -= n
	}
	maps.DeleteFunc(by, func(_ oci.RequestKind, n int) bool { return n <= 0 })
	return costOf(by)
}

func (r *previewRun) enough() bool { return r.spent().Requests >= r.Limits.Requests }

// all reads the list of repositories and looks at those in scope.
func (r *previewRun) all(ctx context.Context, at previewPlace) error {
	for range maxPages {
		names, next, err := r.names(ctx, at.Cursor)
		if err != nil {
			return err
		}
		if next != "" && next == at.Cursor {
			return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the registry's list of repositories leads in a circle")
		}
		stopped, err := r.page(ctx, at, names)
		if err != nil {
			return err
		}
		if next == "" {
			r.namesRead = true
			return nil
		}
		at = previewPlace{Cursor: next}
		if r.enough() {
			r.cut(fmt.Sprintf("after %d requests", r.Limits.Requests))
			if !stopped && r.sum.Next == "" {
				r.sum.Next = at.String()
			}
			return nil
		}
		if r.sum.Next != "" && r.After != "" {
			return nil // how many there are in all was counted on the first page
		}
	}
	return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the registry's list of repositories has more than %d pages", maxPages)
}

func (r *previewRun) names(ctx context.Context, cursor string) ([]string, string, error) {
	if names, ok := r.Scope.Named(); ok {
		return names, "", nil
	}
	return r.Source.Repositories(ctx, cursor)
}

// page decides on a page of names and looks into those in scope, a few at a time and in their order. Once the limit is
// reached the rest is only counted.
func (r *previewRun) page(ctx context.Context, at previewPlace, names []string) (stopped bool, err error) {
	names = names[min(at.Skip, len(names)):]
	for i := 0; i < len(names); {
		var group []PreviewedRepository
		begin := i
		for ; i < len(names) && len(group) < previewAtOnce; i++ {
			d := r.Scope.Repository(names[i])
			r.sum.Repositories++
			if !d.Included {
				r.sum.RepositoriesLeftOut[d.Reason]++
				if r.sum.Next == "" && r.excluded < r.Limits.Excluded {
					r.excluded++
					group = append(group, PreviewedRepository{Name: names[i], Decision: d})
				}
				continue
			}
			r.sum.RepositoriesSelected++
			if r.sum.Next != "" {
				continue
			}
			if r.sum.RepositoriesListed+included(group) >= r.Limits.Repositories || r.enough() {
				r.sum.Next = previewPlace{Cursor: at.Cursor, Skip: at.Skip + i}.String()
				r.cut(fmt.Sprintf("after the tags of %d repositories", r.sum.RepositoriesListed+included(group)))
				continue
			}
			group = append(group, PreviewedRepository{Name: names[i], Decision: d})
		}
		if err := r.look(ctx, group); err != nil {
			if r.sum.Next == "" {
				r.sum.Next = previewPlace{Cursor: at.Cursor, Skip: at.Skip + begin}.String()
			}
			return true, err
		}
	}
	return r.sum.Next != "", nil
}

// previewAtOnce is how many repositories are looked into at the same time.
const previewAtOnce = 8

func included(list []PreviewedRepository) (n int) {
	for _, p := range list {
		if p.Decision.Included {
			n++
		}
	}
	return n
}

// look lists the tags of repositories in scope and hands all out in their order.
func (r *previewRun) look(ctx context.Context, list []PreviewedRepository) error {
	group, gctx := errgroup.WithContext(ctx)
	for i := range list {
		if list[i].Decision.Included {
			group.Go(func() error { return r.tags(gctx, &list[i]) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, p := range list {
		r.add(p)
		if err := r.emit(p); err != nil {
			return err
		}
	}
	return nil
}

func (r *previewRun) add(p PreviewedRepository) {
	if !p.Decision.Included {
		return
	}
	r.sum.RepositoriesListed++
	if p.Error != "" {
		r.sum.RepositoriesFailed++
	}
	r.sum.Tags += p.TagsSeen
	r.sum.TagsSelected += p.TagsSelected
	r.heads += p.heads
	for reason, n := range p.LeftOut {
		r.sum.TagsLeftOut[reason] += n
	}
}

// tags lists one repository and decides. Only the end of the time is returned as an error.
func (r *previewRun) tags(ctx context.Context, p *PreviewedRepository) error {
	tags, more, err := readTags(ctx, r.Source, p.Name, r.stop())
	if named, ok := r.Scope.Named(); tidewaiter.KindOf(err) == tidewaiter.ErrGone && (!ok || len(named) == 0) {
		tags, err = nil, nil
	}
	if err == nil && r.Scope.NeedsTimes() {
		t := times{source: r.Source, known: r.Known, enough: r.enough}
		var unasked int
		unasked, err = t.fill(ctx, r.Scope, p.Name, tags, r.Now())
		r.untimed.Add(int64(unasked))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.ErrorKind, p.Error = tidewaiter.KindOf(err), err.Error()
		return nil
	}
	if more {
		r.tagsCut.Store(true)
		p.CutShort = fmt.Sprintf("after %d tags", len(tags))
	}
	p.decide(r.Scope, tags, r.Limits.Tags, r.Now())
	return nil
}

// maxPreviewPages bounds the pages of tags read of one repository.
const maxPreviewPages = 100

func (r *previewRun) stop() func() bool {
	pages := 0
	return func() bool {
		pages++
		return pages >= maxPreviewPages || r.enough()
	}
}

func (p *PreviewedRepository) decide(scope tidewaiter.Scope, tags []tidewaiter.ListedTag, show int, now time.Time) {
	p.TagsSeen, p.LeftOut = len(tags), map[tidewaiter.Reason]int{}
	decisions := scope.Tags(p.Name, tags, now)
	var out []PreviewedTag
	for i, t := range tags {
		shown := PreviewedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.UpdatedAt, Decision: decisions[i]}
		switch {
		case !decisions[i].Included:
			p.LeftOut[decisions[i].Reason]++
			if len(out) < show {
				out = append(out, shown)
			}
			continue
		case len(p.Tags) < show:
			p.Tags = append(p.Tags, shown)
		}
		p.TagsSelected++
		if t.Digest == "" {
			p.heads++
		}
	}
	p.Tags = append(p.Tags, out[:min(len(out), show-len(p.Tags))]...)
}
