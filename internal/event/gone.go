package event

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// fallen is a tag and the registries that say they no longer have it.
type fallen struct {
	tag string
	at  []candidate
}

// gone takes tags away that a delete event is about and that the registries say they no longer have. Without a delete event
// nothing is taken away: that is for a complete listing to conclude.
func (l *look) gone(ctx context.Context, list []fallen) error {
	if !slices.ContainsFunc(l.events, deleted) {
		return l.unused(ctx, "the registry no longer has the tag")
	}
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		marked := 0
		for _, f := range list {
			for _, c := range f.at {
				last, err := tx.TagGone(ctx, c.registry.ID, c.registry.Host()+"/"+c.repository+":"+f.tag, l.Now())
				if err != nil {
					return err
				}
				if last {
					marked++
				}
			}
		}
		if err := l.settle(ctx, tx, pushed, store.EventUnused, "the registry no longer has the tag"); err != nil {
			return err
		}
		return l.settle(ctx, tx, deleted, store.EventDone, fmt.Sprintf("%d tags marked gone", marked))
	})
}

// deletedByDigest handles a delete event that names no tag: each known tag that points to the digest is asked for.
func (l *look) deletedByDigest(ctx context.Context, digest string) error {
	var list []fallen
	for _, c := range l.found {
		tags, err := l.Store.TagsWithDigest(ctx, c.registry.Host(), c.repository, digest)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if slices.ContainsFunc(list, func(f fallen) bool { return f.tag == tag }) {
				continue
			}
			at, err := l.ask(ctx, tag)
			if err != nil {
				return err
			}
			if len(at.holders) == 0 && len(at.gone) > 0 {
				list = append(list, fallen{tag, at.gone})
			}
		}
	}
	if len(list) == 0 {
		return l.unused(ctx, "no known tag points to the digest, or the registry still has those that do")
	}
	return l.gone(ctx, list)
}
