package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// notes is what the queue keeps in a job's metadata, beside what River keeps there.
type notes struct {
	Registry string `json:"registry,omitempty"`
	Turn     string `json:"turn,omitempty"`          // registry/reach
	Key      string `json:"key,omitempty"`           // UniqueKey
	Timeout  int64  `json:"timeout,omitempty"`       // milliseconds; 0 is the default
	Crashes  int    `json:"crashes,omitempty"`       // processes that died while it ran
	Limited  int64  `json:"limited_since,omitempty"` // unix seconds of the first wait that somebody else asked for
	Refused  int64  `json:"refused_since,omitempty"` // unix seconds of the first wait for another credential
}

func notesOf(job *rivertype.JobRow) (n notes) {
	// Metadata that cannot be read is as good as none.
	_ = json.Unmarshal(job.Metadata, &n)
	return n
}

func runOf(job *rivertype.JobRow, n notes) tidewaiter.JobRun {
	return tidewaiter.JobRun{
		ID: job.ID, Kind: tidewaiter.JobKind(job.Kind), Lane: tidewaiter.Lane(job.Queue), Attempt: job.Attempt,
		MaxAttempts: job.MaxAttempts, Args: job.EncodedArgs, RegistryID: n.Registry, Turn: n.turn(), CreatedAt: job.CreatedAt,
	}
}

// turnOf writes whose turn a job waits for; "" for that of the jobs of no registry.
func turnOf(job *tidewaiter.Job) string {
	turn := cmp.Or(job.Turn, job.RegistryID)
	if turn == "" {
		return ""
	}
	return turn + "/" + string(job.Reach)
}

func (n notes) turn() string { turn, _, _ := strings.Cut(n.Turn, "/"); return turn }

func (n notes) pulls() bool { return strings.HasSuffix(n.Turn, "/"+string(tidewaiter.ReachPull)) }

// work is what River takes for a job's arguments. The real ones are passed on unread.
type work struct{ kind string }

// Kind returns the job's kind to River.
func (w work) Kind() string { return w.kind }

// UnmarshalJSON accepts any arguments.
func (w *work) UnmarshalJSON([]byte) error { return nil }

// worker is River's view of a handler.
type worker struct {
	river.WorkerDefaults[work]
	queue  *Queue
	handle Handler
	failed FailureHandler // may be nil
}

// Timeout returns how long an attempt may take.
func (w *worker) Timeout(job *river.Job[work]) time.Duration {
	return time.Duration(notesOf(job.JobRow).Timeout) * time.Millisecond
}

// Work makes one attempt and tells River what became of it.
func (w *worker) Work(ctx context.Context, job *river.Job[work]) error {
	q := w.queue
	n := notesOf(job.JobRow)
	run := runOf(job.JobRow, n)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := q.freeKey(ctx, job.JobRow, n); err != nil {
		return fmt.Errorf("begin the job: %w", err) // River tries again
	}
	began := q.now()
	q.running.enter(run.ID, cancel)
	defer func() {
		q.running.leave(run.ID)
		q.makeRoom(ctx, run, n)
	}()

	var err error
	if n.Crashes >= run.MaxAttempts {
		err = tidewaiter.Errorf(tidewaiter.ErrBug, "the process ended %d times while it ran this job", n.Crashes)
	} else {
		err = w.protect(run, func() error { return w.handle(ctx, run) })
	}
	end := conclude(ctx, run, n, err, q.now(), chance)
	if end.outcome == failed {
		end = w.tellFailure(ctx, run, n, end)
	}
	q.metrics.ended(run, end.outcome, q.now().Sub(began))
	q.logEnd(ctx, run, end, w.failed != nil)
	return w.answer(ctx, run, end)
}

// freeKey lets the same work be queued again from the moment an attempt begins: whoever asks for it now may have changed
// what this attempt has read already. A period's job keeps its key, as periods do not overlap.
func (q *Queue) freeKey(ctx context.Context, job *rivertype.JobRow, n notes) error {
	if len(job.UniqueKey) == 0 || strings.HasPrefix(n.Key, periodKey) {
		return nil
	}
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := q.exec(ctx, tx, "update river_job set unique_key = null, unique_states = null where id = $1", job.ID)
		return err
	})
}

// protect turns a panic into an error of kind bug.
func (w *worker) protect(run tidewaiter.JobRun, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			w.queue.log.Error("job panicked", "kind", run.Kind, "job", run.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = tidewaiter.Errorf(tidewaiter.ErrBug, "%s job panicked: %v", run.Kind, r)
		}
	}()
	return f()
}

const (
	tellTimeout = 30 * time.Second // for a failure handler
	tellAgain   = 30 * time.Second // after a failure handler failed
)

// tellFailure tells the failure handler. The job's own context may be over by now. Until the handler has taken the news
// the job stays open, a day at most.
func (w *worker) tellFailure(ctx context.Context, run tidewaiter.JobRun, n notes, end ending) ending {
	if w.failed == nil {
		return end
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	err := w.protect(run, func() error { return w.failed(ctx, run, end.err) })
	if err == nil {
		return end
	}
	w.queue.log.Error("job failed, and so did telling it", "kind", run.Kind, "job", run.ID, "error", err)
	now := w.queue.now()
	if since := n.limitedSince(now); now.Sub(since) < maxWaiting {
		return ending{outcome: snoozed, wait: chance(tellAgain), err: end.err, since: since}
	}
	return end
}

// answer says it in River's words.
func (w *worker) answer(ctx context.Context, run tidewaiter.JobRun, end ending) error {
	for note, since := range map[string]time.Time{"limited_since": end.since, "refused_since": end.refused} {
		if since.IsZero() {
			continue
		}
		if err := river.MetadataSet(ctx, note, since.Unix()); err != nil {
			w.queue.log.Error("note of a waiting job lost", "job", run.ID, "error", err)
		}
	}
	switch end.outcome {
	case done:
		return nil
	case snoozed:
		return river.JobSnooze(end.wait)
	case interrupted:
		// River puts the job back, without the attempt, when it finds this in the chain while it is stopping.
		return fmt.Errorf("interrupted: %w", context.Canceled)
	case retried:
		return end.err
	}
	return river.JobCancel(end.err)
}

// logEnd writes what became of an attempt. A failure that somebody was told of is theirs to log.
func (q *Queue) logEnd(ctx context.Context, run tidewaiter.JobRun, end ending, told bool) {
	level := slog.LevelDebug
	switch {
	case end.outcome == failed && !told:
		level = slog.LevelError
	case end.outcome == retried:
		level = slog.LevelWarn
	}
	q.log.Log(ctx, level, "job "+string(end.outcome), "kind", run.Kind, "lane", run.Lane, "job", run.ID, "attempt", run.Attempt,
		"registry", run.RegistryID, "error", end.err)
}

// errCanceled is why a job's context ended when Cancel ended it.
var errCanceled = tidewaiter.Errorf(tidewaiter.ErrCanceled, "the job was canceled")

func wasCanceled(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, errCanceled) || errors.Is(cause, rivertype.ErrJobCancelledRemotely)
}

// chance adds up to a tenth, so that what began to wait together does not come back together.
func chance(d time.Duration) time.Duration {
	return d + rand.N(d/10+1) //nolint:gosec // spreads load, hides nothing
}
