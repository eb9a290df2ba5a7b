package queue

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// wakeEvery is how often a process wakes the patient lanes in PostgreSQL. Transactions that notify commit one after the
// other, which would slow down the many small ones of a busy fleet; what is missed, the next poll finds.
const wakeEvery = 100 * time.Millisecond

// wake tells workers of some lanes, in every process, to look for jobs once the transaction has committed.
func (q *Queue) wake(ctx context.Context, tx *store.Tx, lanes map[tidewaiter.Lane]bool) error {
	for _, lane := range tidewaiter.Lanes() {
		if !lanes[lane] || !q.sqlite && !urgent(lane) && !q.wakes.may(lane, q.now()) {
			continue
		}
		if err := q.wakeLane(ctx, tx, lane); err != nil {
			return err
		}
	}
	return nil
}

// wakeLane sends the message that River sends after its own inserts.
func (q *Queue) wakeLane(ctx context.Context, tx *store.Tx, lane tidewaiter.Lane) error {
	payload, err := json.Marshal(map[string]tidewaiter.Lane{"queue": lane})
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, tx, q.dialect(
		`insert into river_notification (payload, topic) values ($1, 'river_insert')`,
		`select pg_notify(current_schema() || '.river_insert', $1)`), string(payload))
	return err
}

// wakeLimit is when each lane was woken last.
type wakeLimit struct {
	mu   sync.Mutex
	last map[tidewaiter.Lane]time.Time
}

func newWakeLimit() *wakeLimit { return &wakeLimit{last: map[tidewaiter.Lane]time.Time{}} }

func (l *wakeLimit) may(lane tidewaiter.Lane, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.last[lane]) < wakeEvery {
		return false
	}
	l.last[lane] = now
	return true
}
