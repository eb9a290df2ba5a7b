package event

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// answer is what the registries say of a tag.
type answer struct {
	holders []holder
	gone    []candidate
	why     string // the last reason why a registry was passed over
}

// holder is a registry that has a tag, and what the tag points to there.
type holder struct {
	candidate
	digest string
}

// ask asks the candidates one by one for a tag until one has it that is sure to be meant: by its host, or by its digest.
// Without either all that have it are. An error is returned only when trying again may help and nobody has it.
func (l *look) ask(ctx context.Context, tag string) (answer, error) {
	var out answer
	var again error
	for i := range l.found {
		c := &l.found[i]
		d, err := l.head(ctx, c, tag)
		switch kind := tidewaiter.KindOf(err); {
		case err == nil && !c.byHost && l.names(d.Digest) == another:
			out.why = "the registries that have it in scope hold another image under the name"
		case err == nil:
			out.holders = append(out.holders, holder{*c, d.Digest})
			if c.byHost || l.names(d.Digest) == this {
				return out, nil
			}
		case ctx.Err() != nil:
			return out, ctx.Err()
		case kind == tidewaiter.ErrGone:
			out.gone = append(out.gone, *c)
		case kind.Retryable():
			again = err
		default:
			out.why = err.Error()
		}
	}
	if len(out.holders) > 0 {
		return out, nil
	}
	return out, again
}

func (l *look) head(ctx context.Context, c *candidate, reference string) (tidewaiter.Descriptor, error) {
	source, err := l.Open(ctx, c.registry.ID)
	if err != nil {
		return tidewaiter.Descriptor{}, err
	}
	return source.Head(ctx, c.repository, reference)
}

// naming is whether events name a digest.
type naming int

const (
	none naming = iota
	this
	another
)

// names reports whether an event names a digest: this one, another one, or none at all.
func (l *look) names(digest string) naming {
	found := none
	for _, e := range l.events {
		switch e.Digest {
		case digest:
			return this
		case "":
		default:
			found = another
		}
	}
	return found
}
