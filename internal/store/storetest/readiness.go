package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testReadiness indexes images that share layers while these layers are done and fail, all at the same time and many
// times over. In the end every image became ready exactly once, either with its last layer or when it was indexed; and
// when everything is judged, every tag has counted exactly once.
func testReadiness(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		if round++; round > 25 {
			return // each round is a small storm; more rounds only repeat it
		}
		run := newStorm(w, round)
		layers := rapid.IntRange(1, 6).Draw(r, "layers")
		for i := range rapid.IntRange(2, 8).Draw(r, "images") {
			run.add(i, rapid.SliceOfN(rapid.IntRange(0, layers-1), 1, 5).Draw(r, "layers of the image"))
		}
		run.rage()
		if t.Failed() {
			r.FailNow()
		}
	})
}

// storm is one round: images, a tag for each, and who saw which image become ready.
type storm struct {
	*world
	prefix string
	images []*tidewaiter.Image
	tags   []int64

	mu    sync.Mutex
	queue map[string]bool // the layers somebody was told to analyse: like the queue, it takes each only once
	ready map[int64]int
}

func newStorm(w *world, round int) *storm {
	return &storm{world: w, prefix: "round" + number(round) + "-", queue: map[string]bool{}, ready: map[int64]int{}}
}

func (s *storm) add(i int, layers []int) {
	names := make([]string, len(layers))
	for i, l := range layers {
		names[i] = s.prefix + number(l)
	}
	s.images = append(s.images, image(s.prefix+number(i), names...))
	s.tags = append(s.tags, s.tag(s.prefix+number(i)))
}

// rage indexes every image in a goroutine of its own. Whoever is the first to be told to analyse a layer does, in another.
func (s *storm) rage() {
	var wg sync.WaitGroup
	for i := range s.images {
		wg.Go(func() { s.indexOne(&wg, i) })
	}
	wg.Wait()
	for _, img := range s.images {
		if n := s.ready[img.ID]; n != 1 {
			s.Errorf("image %s became ready %d times", img.Digest, n)
		}
	}
	s.judgeAll()
}

func (s *storm) indexOne(wg *sync.WaitGroup, i int) {
	var out store.IndexOutcome
	if err := s.try(func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = tx.IndexTag(ctx, indexTag(s.tags[i], s.images[i].Digest, s.images[i]))
		return err
	}); err != nil {
		s.Error(err)
		return
	}
	s.note(out.JudgeImages)
	for _, l := range out.MissingLayers {
		if s.first(l.DiffID) {
			wg.Go(func() { s.analyzeOne(l.DiffID) })
		}
	}
}

func (s *storm) first(diffID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.queue[diffID]
	s.queue[diffID] = true
	return !known
}

func (s *storm) analyzeOne(diffID string) {
	var ready []int64
	if err := s.try(func(ctx context.Context, tx *store.Tx) (err error) {
		ready, err = tx.LayerDone(ctx, diffID, analyzer, &tidewaiter.Analysis{DiffID: diffID}, start)
		return err
	}); err != nil {
		s.Error(err)
	}
	s.note(ready)
}

func (s *storm) note(ready []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ready {
		s.ready[id]++
	}
}

func (s *storm) judgeAll() {
	before := s.scan("scan").ImagesDone
	var wg sync.WaitGroup
	for _, img := range slices.Concat(s.images, s.images) {
		wg.Go(func() {
			j := judgement()
			if err := s.try(func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Judgement: &j, Now: start})
				return err
			}); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.scan("scan").ImagesDone - before; got != len(s.tags) {
		s.Errorf("%d tags counted, of %d", got, len(s.tags))
	}
}
