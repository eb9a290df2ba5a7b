package queue

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// What the tests look at from outside.
var (
	RetryDelay = retryDelay
	CrashDelay = crashDelay
	ValidKind  = validKind
	RiverLog   = riverLog

	PresenceKey = presenceKey
	ClientID    = clientID
)

// SetGoneAfter says how long a process is alive without its lock. It must be called before Start.
func SetGoneAfter(q *Queue, d time.Duration) { q.goneAfter = d }

// ErrJobCanceled is the cause of a context that Cancel ended.
var ErrJobCanceled error = errCanceled

// Ending is what conclude decided.
type Ending struct {
	Outcome string
	Wait    time.Duration
	Kind    tidewaiter.ErrorKind
	Since   time.Time
	Refused time.Time
}

// Conclude runs conclude without chance.
func Conclude(ctx context.Context, run tidewaiter.JobRun, limitedSince, refusedSince int64, err error, now time.Time) Ending {
	e := conclude(ctx, run, notes{Limited: limitedSince, Refused: refusedSince}, err, now, func(d time.Duration) time.Duration { return d })
	return Ending{Outcome: string(e.outcome), Wait: e.wait, Kind: tidewaiter.KindOf(e.err), Since: e.since, Refused: e.refused}
}

// Pulse is pulse with a way to ask for lost jobs by id.
type Pulse struct{ p *pulse }

// NewPulse makes one.
func NewPulse(after time.Duration) Pulse { return Pulse{newPulse(after)} }

// Observe calls observe.
func (p Pulse) Observe(beats map[string]time.Time, now time.Time) map[string]bool {
	return p.p.observe(beats, now)
}

// Lost calls lost for jobs claimed by "self".
func (p Pulse) Lost(ids []int64, running func(int64) bool, now time.Time) []int64 {
	var claims []claim
	for _, id := range ids {
		claims = append(claims, claim{id: id, owner: "self"})
	}
	return p.p.lost(append(claims, claim{id: -1, owner: "other"}), "self", running, now)
}
