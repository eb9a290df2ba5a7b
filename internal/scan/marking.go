package scan

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// markWindow is how many images are looked at in one go. It bounds what has to be held in memory.
const markWindow = 20_000

// marking tells the images that other advisories judged, and that have to be judged again, from those for which nothing
// changed since then, and marks these as judged. What is left has another version of the advisories than the one in use.
//
// Nothing changed for an image when none of its packages' findings did, nor what is known of their vulnerabilities, and time
// did not change anything either: its distribution's release has not come to its end, and no new year has made recent
// vulnerabilities old ones. Grace periods and exceptions that end are noticed by the walk that applies the policies.
type marking struct {
	*Pipeline
	advisories string
	generation int64           // of the findings, at the beginning
	changed    map[int64]int64 // packages, and the last generation each changed in
	ended      map[release]bool
	year       time.Time // its first moment
}

type release struct{ family, name string }

func (p *Pipeline) newMarking(ctx context.Context, advisories string) (*marking, error) {
	now := p.Now().UTC()
	m := &marking{Pipeline: p, advisories: advisories, year: time.Date(now.Year(), time.January, 1, 0, 0, 0, 0, time.UTC),
		ended: map[release]bool{}}
	var err error
	if m.generation, err = p.Store.FindingsGeneration(ctx); err != nil {
		return nil, err
	}
	m.changed, err = p.Store.ChangedPackages(ctx, 0)
	return m, err
}

// window looks at the next images and returns the last one.
func (m *marking) window(ctx context.Context, after int64) (last int64, more bool, err error) {
	images, err := m.Store.StaleImages(ctx, m.advisories, after, markWindow)
	if err != nil || len(images) == 0 {
		return after, false, err
	}
	last = images[len(images)-1].ID
	untouched := make(map[int64]int64, len(images)) // and the generation each has seen
	for i := range images {
		if !m.outdated(ctx, &images[i]) {
			untouched[images[i].ID] = images[i].FindingsSeen
		}
	}
	if err := m.strike(ctx, untouched, after, last); err != nil {
		return after, false, err
	}
	ids := slices.Sorted(maps.Keys(untouched))
	for part := range slices.Chunk(ids, applyBatch*4) {
		if err := m.Store.Update(ctx, func(tx *store.Tx) error {
			if err := m.underAdvisories(ctx, tx, m.advisories); err != nil {
				return err
			}
			return tx.MarkJudged(ctx, m.advisories, m.generation, part, m.Now())
		}); err != nil {
			return after, false, err
		}
	}
	return last, len(images) == markWindow, nil
}

// outdated reports whether an image has to be judged again whatever its packages are.
func (m *marking) outdated(ctx context.Context, image *store.StaleImage) bool {
	if image.FindingsSeen == 0 || image.Advisories == "" || image.JudgedAt.Before(m.year) {
		return true
	}
	if image.DistroFamily == "" && image.DistroRelease == "" {
		return image.EndOfLife
	}
	return m.endOfLife(ctx, release{image.DistroFamily, image.DistroRelease}) != image.EndOfLife
}

func (m *marking) endOfLife(ctx context.Context, r release) bool {
	ended, known := m.ended[r]
	if !known {
		ended = engine.EndOfLife(ctx, &tidewaiter.Distribution{Family: r.family, Release: r.name})
		m.ended[r] = ended
	}
	return ended
}

// strike takes those images out that hold a package whose findings changed after the image was judged.
func (m *marking) strike(ctx context.Context, untouched map[int64]int64, after, last int64) error {
	if len(untouched) == 0 {
		return nil
	}
	return m.Store.Holders(ctx, slices.Sorted(maps.Keys(m.changed)), after, last, func(h store.Holding) bool {
		if seen, is := untouched[h.ImageID]; is && m.changed[h.PackageID] > seen {
			delete(untouched, h.ImageID)
		}
		return len(untouched) > 0
	})
}
