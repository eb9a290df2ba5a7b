package queue

import (
	"context"
	"sync"
)

// running is what runs in this process.
type running struct {
	mu   sync.Mutex
	jobs map[int64]context.CancelCauseFunc
}

func newRunning() *running { return &running{jobs: map[int64]context.CancelCauseFunc{}} }

func (r *running) enter(id int64, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[id] = cancel
}

func (r *running) leave(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, id)
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

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs)
}

func (r *running) has(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.jobs[id]
	return ok
}
