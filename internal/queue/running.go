package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// running is what runs in this process, and how many jobs of each registry.
type running struct {
	mu         sync.Mutex
	jobs       map[int64]context.CancelCauseFunc
	registries map[string]*share
}

func newRunning() *running {
	return &running{jobs: map[int64]context.CancelCauseFunc{}, registries: map[string]*share{}}
}

// enter counts a job in and returns 0, or returns how long it has to wait because its registry is at its limit: 0 is no
// limit, less is none at all.
func (r *running) enter(run tidewaiter.JobRun, cancel context.CancelCauseFunc, limit int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit < 0 {
		return closedPark
	}
	if run.RegistryID != "" {
		s := r.share(run.RegistryID)
		if s.waits[run.ID] {
			s.waits[run.ID] = false
		}
		if limit > 0 && s.running >= limit {
			return s.park(place{run.ID, run.RegistryID, run.Lane, limit})
		}
		s.running++
	}
	r.jobs[run.ID] = cancel
	return 0
}

// leave counts a job out.
func (r *running) leave(run tidewaiter.JobRun, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, run.ID)
	if s := r.registries[run.RegistryID]; s != nil {
		s.running--
		s.take = (3*s.take + took) / 4
		r.tidy(run.RegistryID, s)
	}
}

// parked takes the job of a registry that has been parked longest off the list, if there is one.
func (r *running) parked(registryID string) (place, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.registries[registryID]
	if s == nil {
		return place{}, false
	}
	defer r.tidy(registryID, s)
	return s.next()
}

// due takes as many parked jobs off the list as there is room for.
func (r *running) due() (places []place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for registryID, s := range r.registries {
		for range s.limit - s.running {
			p, ok := s.next()
			if !ok {
				break
			}
			places = append(places, p)
		}
		r.tidy(registryID, s)
	}
	return places
}

// putBack undoes parked or due.
func (r *running) putBack(p place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.share(p.registryID)
	if _, ok := s.waits[p.id]; !ok {
		s.limit, s.order = p.limit, slices.Insert(s.order, 0, p)
		s.waits[p.id] = true
	}
}

func (r *running) share(registryID string) *share {
	s := r.registries[registryID]
	if s == nil {
		s = &share{take: firstTake, waits: map[int64]bool{}}
		r.registries[registryID] = s
	}
	return s
}

func (r *running) tidy(registryID string, s *share) {
	if s.running == 0 && len(s.waits) == 0 {
		delete(r.registries, registryID)
	}
}

// cancel ends the contexts of those of the jobs that run here.
func (r *running) cancel(ids []int64, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if cancel, ok := r.jobs[id]; ok {
			cancel(cause)
		}
	}
}

func (r *running) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs) == 0
}

func (r *running) has(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.jobs[id]
	return ok
}

const (
	shortPark  = time.Second // least wait of a job whose registry is busy
	longPark   = 2 * time.Minute
	closedPark = 30 * time.Second // of one whose registry is closed
	maxParked  = 10_000           // of one registry; any more come back by themselves
	firstTake  = time.Second      // how long a registry's jobs take, until it is known
)

// share is a registry's part in the running jobs. Jobs beyond its limit are parked: they go back to the database with a
// time to wait, and each job that ends has the first of them brought forward. The time is for when that goes wrong.
type share struct {
	running int
	limit   int            // when a job was parked last
	take    time.Duration  // moving average of how long a job takes
	order   []place        // jobs that were parked
	waits   map[int64]bool // the same, and whether they still are; one that comes back in vain keeps its place
}

// place is a parked job.
type place struct {
	id         int64
	registryID string
	lane       tidewaiter.Lane
	limit      int // of the registry at the time
}

func (s *share) park(p place) time.Duration {
	s.limit = p.limit
	if _, placed := s.waits[p.id]; placed || len(s.order) < maxParked {
		if !placed {
			s.order = append(s.order, p)
		}
		s.waits[p.id] = true
	}
	return min(max(2*s.take*time.Duration(len(s.order))/time.Duration(p.limit), shortPark), longPark)
}

func (s *share) next() (place, bool) {
	for len(s.order) > 0 {
		p := s.order[0]
		s.order = s.order[1:]
		waits := s.waits[p.id]
		delete(s.waits, p.id)
		if waits {
			return p, true
		}
	}
	return place{}, false
}
