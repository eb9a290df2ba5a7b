// Package queue runs the work of the house in the background: jobs stored beside the rows they are about, in five lanes
// with workers of their own, tried again when that can help, and taken up by another process when one dies.
//
// It stands on River, in SQLite or in PostgreSQL. What River does: storing, finishing and pruning jobs, waking
// sleeping workers, moving due retries forward. What is added here: inserting inside a store transaction, claiming, what an error
// means for its job, registries that take turns, have limits and ask for workers, fast recovery from crashes, cancelling
// across processes, and periods that hold over restarts.
package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config says how a process takes part.
type Config struct {
	DB  *store.DB
	Log *slog.Logger

	WorkerID string   // the process's name for people; a part that is new at each start is added to it
	Version  string   // of the program
	Labels   []string // which registries the process can reach
	// Fits says whether the process has the labels a registry asks for, where that is not plain from Labels. It is asked
	// every second for each set of labels. May be nil.
	Fits func(ctx context.Context, wanted []string) (bool, error)
	// Hold returns kinds of job that this process cannot do for now: they are left to others. It is called for each claim
	// and should answer from memory. May be nil.
	Hold func() []tidewaiter.JobKind
	// Advisories returns the version of the advisories in use, for people to see beside the heartbeat. May be nil.
	Advisories func() string

	// Workers is how many jobs of each lane run at once in this process. A process with none only inserts.
	Workers map[tidewaiter.Lane]int
	// OnDead is told, in the transaction that gives the jobs of a dead process to others, which process that was and which
	// jobs, so that what else they held can be freed. May be nil.
	OnDead func(ctx context.Context, tx *store.Tx, owner string, jobs []int64) error

	// RescueAfter is how long a process may be silent before its jobs are given to others; 0 is 15 seconds. Three
	// heartbeats are sent in that time. On PostgreSQL a fifth of it is enough when the process's connection is gone as well.
	RescueAfter time.Duration

	Now      func() time.Time      // nil is time.Now
	Registry prometheus.Registerer // nil measures nothing
}

// Handler does one attempt at a job. What its error means for the job is described at Queue.Handle.
type Handler func(ctx context.Context, run tidewaiter.JobRun) error

// FailureHandler is told that a job failed for good.
type FailureHandler func(ctx context.Context, run tidewaiter.JobRun, err error) error

// Queue inserts jobs and, once started, works on them.
type Queue struct {
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	id        string // of this start of this process; River notes it in each job it claims
	started   time.Time
	sqlite    bool
	client    client
	workers   *river.Workers
	handlers  map[tidewaiter.JobKind]*worker
	running   *running
	presence  *presence     // nil on SQLite
	goneAfter time.Duration // without lock and heartbeat
	admission admission
	rotation  *rotation
	open      *sql.Stmt // openSQLite: to parse it takes longer than to run it; nil on PostgreSQL and before Start
	metrics   *metrics
	wakes     *wakeLimit
	periods   []*period

	loops sync.WaitGroup
	quit  context.CancelFunc // ends the loops; nil until Start
}

// New prepares a queue: River's tables are brought up to date, under a lock, and the metrics are registered. No job is
// worked on before Start.
func New(ctx context.Context, cfg Config) (*Queue, error) {
	q := &Queue{
		cfg: cfg, log: cfg.Log, now: cfg.Now,
		sqlite:   cfg.DB.Dialect() == store.SQLite,
		workers:  river.NewWorkers(),
		handlers: map[tidewaiter.JobKind]*worker{},
		running:  newRunning(),
		rotation: newRotation(),
		wakes:    newWakeLimit(),
	}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	if q.now == nil {
		q.now = time.Now
	}
	if q.cfg.RescueAfter <= 0 {
		q.cfg.RescueAfter = 15 * time.Second
	}
	if err := q.checkLanes(); err != nil {
		return nil, err
	}
	q.started = q.now()
	q.id = clientID(cfg.WorkerID, '-')
	if !q.sqlite {
		q.id = clientID(cfg.WorkerID, presenceMark)
		q.presence = newPresence(q.id)
		q.goneAfter = q.cfg.RescueAfter / 5
	}
	if err := q.migrate(ctx); err != nil {
		return nil, fmt.Errorf("prepare the job tables: %w", err)
	}
	var err error
	if q.client, err = q.newClient(); err != nil {
		return nil, fmt.Errorf("prepare the job queue: %w", err)
	}
	if q.metrics, err = newMetrics(q); err != nil {
		return nil, fmt.Errorf("register the queue's metrics: %w", err)
	}
	return q, nil
}

func (q *Queue) checkLanes() error {
	for lane, workers := range q.cfg.Workers {
		if !validLane(lane) {
			return tidewaiter.Invalid("workers", "no such lane: %q", lane)
		}
		if workers < 0 || workers > river.QueueNumWorkersMax {
			return tidewaiter.Invalid("workers", "lane %s cannot have %d workers", lane, workers)
		}
	}
	return nil
}

// ID returns the id of this start of this process, as it stands in the workers table.
func (q *Queue) ID() string { return q.id }

// Handle says what does the jobs of a kind. It must be called before Start, once for a kind.
//
// An error decides over its job by its kind: a retryable one is tried again after 1 second to 5 minutes, longer each
// time, until the attempts are used up; with RetryAfter it waits that long without using up an attempt, a day in all at
// most; Snooze waits the same way, and an ErrAuth with RetryAfter does for ten minutes in all; any other error, and a panic, fails the job for good. An error after the context was
// cancelled by Stop puts the job back as if the attempt had not been; one after Cancel ends it.
func (q *Queue) Handle(kind tidewaiter.JobKind, h Handler) {
	w := &worker{queue: q, handle: h}
	q.handlers[kind] = w
	river.AddWorkerArgs(q.workers, work{kind: string(kind)}, river.Worker[work](w))
}

// HandleFailure says who is told when a job of a kind, which must have a handler, failed for good, for whatever reason:
// its own error, its last attempt, a panic, a day of waiting, or because the process died each time it ran. It is told
// before the job is closed, at least once. When it fails itself it is called again later. It must be called before
// Start.
func (q *Queue) HandleFailure(kind tidewaiter.JobKind, h FailureHandler) {
	w, ok := q.handlers[kind]
	if !ok {
		panic("queue: HandleFailure without Handle for " + string(kind))
	}
	w.failed = h
}

// Start begins to work on jobs and returns when it has begun. Only Stop ends that; the context bounds the start alone.
// In SQLite, where no other process can be at work, jobs that a crash left running are made available first.
func (q *Queue) Start(ctx context.Context) error {
	if q.quit != nil {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "the queue was started before")
	}
	if !q.works() {
		return tidewaiter.Invalid("workers", "a process without workers cannot start the queue")
	}
	if err := q.heartbeat(ctx); err != nil {
		return fmt.Errorf("register the worker: %w", err)
	}
	if q.sqlite {
		if _, err := q.rescue(ctx, func(owner string) bool { return owner != q.id }); err != nil {
			return fmt.Errorf("take up interrupted jobs: %w", err)
		}
		var err error
		if q.open, err = q.cfg.DB.Writer().PrepareContext(ctx, openSQLite); err != nil {
			return fmt.Errorf("prepare to claim jobs: %w", err)
		}
	}
	if err := q.admit(ctx); err != nil {
		return fmt.Errorf("look which registries to work on: %w", err)
	}
	loops, quit := context.WithCancel(context.WithoutCancel(ctx))
	if q.presence != nil {
		// Before a job is claimed: who has jobs and no lock is doubted. Where it fails, the loop tries again.
		if err := q.presence.keep(ctx, q.connect); err != nil {
			q.complain(ctx, "show that this process is there", err)
		}
	}
	if err := q.client.Start(loops); err != nil {
		quit()
		if q.presence != nil {
			q.presence.close(ctx)
		}
		return fmt.Errorf("start the job queue: %w", err)
	}
	q.quit = quit
	if q.presence != nil {
		q.loops.Go(func() { q.watchPresence(loops) })
		q.loops.Go(func() { q.watchDoubt(loops) })
	}
	q.loops.Go(func() { q.watchAdmission(loops) })
	q.loops.Go(func() { q.watchWorkers(loops) })
	q.loops.Go(func() { q.watchRunning(loops) })
	q.loops.Go(func() { q.watchPeriods(loops) })
	return nil
}

func (q *Queue) works() bool {
	for _, n := range q.cfg.Workers {
		if n > 0 {
			return true
		}
	}
	return false
}

// stopGrace is how long jobs whose context was cancelled at the end of Stop may take to return.
const stopGrace = 3 * time.Second

// Stop takes no more jobs and waits for those that run. When ctx ends first their contexts are cancelled, and jobs that
// have not returned stopGrace later are given up, which is the only case that is an error. A job that did not finish is
// available again at once and loses no attempt.
func (q *Queue) Stop(ctx context.Context) error {
	if q.quit == nil {
		return nil
	}
	err := q.client.Stop(ctx)
	if err != nil {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		err = q.client.StopAndCancel(grace)
	}
	q.quit()
	q.loops.Wait()
	// The rest must be written even when the caller's time is up.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if released := q.leave(last); released != nil {
		err = errors.Join(err, released)
	}
	if q.presence != nil {
		q.presence.close(last)
	}
	if q.open != nil {
		_ = q.open.Close() // it only read
	}
	if err != nil {
		return fmt.Errorf("stop the job queue: %w", err)
	}
	return nil
}
