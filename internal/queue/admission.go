package queue

import (
	"context"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// admission is what a process keeps in mind of the registries, to claim by. Everything else that decides on a claim is read
// with it.
type admission struct {
	mu     sync.Mutex
	sets   []string // sets of labels registries ask for that this process has, as the store writes them
	limits bool     // some registry has a limit
}

// fits returns the sets of labels that this process has. A set that came up within the last second is not among them yet:
// jobs of its registries wait until it is, rather than go to a worker that cannot reach them.
func (a *admission) fits() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.sets...)
}

func (a *admission) limited() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits
}

// admissionEvery is how often a process looks which registries it may work on.
const admissionEvery = time.Second

func (q *Queue) watchAdmission(ctx context.Context) {
	tick := time.NewTicker(admissionEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := q.admit(ctx); err != nil {
			q.complain(ctx, "look which registries to work on", err)
		}
	}
}

// admit reads anew what admission keeps in mind.
func (q *Queue) admit(ctx context.Context) error {
	wanted, err := q.cfg.DB.WantedLabels(ctx)
	if err != nil {
		return err
	}
	limits, err := q.cfg.DB.AnyParallel(ctx)
	if err != nil {
		return err
	}
	var sets []string
	for _, w := range wanted {
		fits := tidewaiter.LabelsFit(q.cfg.Labels, w)
		if q.cfg.Fits != nil {
			if fits, err = q.cfg.Fits(ctx, w); err != nil {
				return err
			}
		}
		if fits {
			sets = append(sets, store.LabelsText(w))
		}
	}
	q.admission.mu.Lock()
	defer q.admission.mu.Unlock()
	q.admission.sets, q.admission.limits = sets, limits
	return nil
}
