package discover

import (
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Rotation says how often known tags are asked where they point, on registries whose lists do not say. The zero Rotation
// has the defaults.
//
// Each tag has its own moment in every period, spread evenly by its name, and is asked by the first listing after that. So
// a listing that follows another by an eighth of the period asks an eighth of the tags, and whatever moved is found by the
// first listing after one period at the latest. New tags are asked at once, and so is everything in a scan that somebody
// asked for.
type Rotation struct {
	Within  time.Duration // the period of tags that are not expected to move: 1.2.3, a commit, a date; 24 h
	Mutable time.Duration // the period of all others: latest, main, 1.2; 1 h, at most Within
	AtMost  int           // asked in one listing; what is left over is asked by the next; 0 is no limit
}

func (r Rotation) withDefaults() Rotation {
	if r.Within <= 0 {
		r.Within = 24 * time.Hour
	}
	if r.Mutable <= 0 {
		r.Mutable = time.Hour
	}
	r.Mutable = min(r.Mutable, r.Within)
	return r
}

// due reports whether a tag's moment lies between when it was last asked and now.
func (r Rotation) due(repository, tag string, last, now time.Time) bool {
	period := r.Within
	if LooksMutable(tag) {
		period = r.Mutable
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(repository + ":" + tag)) // never fails
	phase := int64(h.Sum64() % uint64(period))     // a period is positive, and the remainder smaller
	turn := func(t time.Time) int64 { return (t.UnixNano() - phase) / int64(period) }
	return turn(now) > turn(last)
}

// fixedTag matches names that are made for one build: three numbers with a dot or more, a commit, a digest, a date or a time.
var fixedTag = regexp.MustCompile(`^(?i:(.*[._-])?v?[0-9]+\.[0-9]+\.[0-9]+([.+_-].*)?|(.*[._-])?(sha-?)?[0-9a-f]{7,64}|(.*[._-])?20[0-9]{2}[._-]?[01][0-9][._-]?[0-3][0-9]([._tT-].*)?|.*[._-](build|b|r)?[0-9]{3,})$`)

// LooksMutable reports whether a tag's name is one that people move: not that of one build.
func LooksMutable(tag string) bool {
	return !fixedTag.MatchString(tag) || strings.Contains(strings.ToLower(tag), "snapshot")
}

// allowance is how many known tags a listing may still ask for.
type allowance struct {
	limited bool
	left    atomic.Int64
}

func (r Rotation) allowance() *allowance {
	a := &allowance{limited: r.AtMost > 0}
	a.left.Store(int64(r.AtMost))
	return a
}

func (a *allowance) take() bool { return !a.limited || a.left.Add(-1) >= 0 }

// keep marks the tags that need not be asked for again: what is known of them stands. Those whose turn it is but that are
// over the allowance stand too; names people move are asked first, then those asked longest ago.
func (r Rotation) keep(repository string, tags []tidewaiter.ListedTag, in []tidewaiter.Decision, known map[string]store.TagCheck, left *allowance, now time.Time) {
	r = r.withDefaults()
	var due []*tidewaiter.ListedTag
	for i := range tags {
		t := &tags[i]
		c, ok := known[t.Name]
		if !ok || t.Digest != "" || !in[i].Included {
			continue
		}
		if r.due(repository, t.Name, c.At, now) {
			due = append(due, t)
			continue
		}
		t.Digest, t.Unchecked = c.Digest, true
	}
	slices.SortStableFunc(due, func(a, b *tidewaiter.ListedTag) int {
		if ma, mb := LooksMutable(a.Name), LooksMutable(b.Name); ma != mb {
			if ma {
				return -1
			}
			return 1
		}
		return known[a.Name].At.Compare(known[b.Name].At)
	})
	for _, t := range due {
		if !left.take() {
			t.Digest, t.Unchecked = known[t.Name].Digest, true
		}
	}
}
