package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	// fetchCooldown is the least time between two claims of a lane. Workers of a lane divided by it is the lane's
	// highest rate for jobs that take no time; nothing is claimed unless something woke the lane or a worker came free.
	fetchCooldown = time.Millisecond
	// pollUrgent and pollPatient are how long a wake-up that was lost, or a retry that is due, may go unnoticed.
	pollUrgent  = 500 * time.Millisecond
	pollPatient = time.Second

	keepDone   = 2 * time.Minute    // jobs that went well; there are many
	keepFailed = 7 * 24 * time.Hour // jobs that did not, with their errors

	// backstop is when River itself takes a job for stuck. Crashes are noticed much earlier by their silence; this is
	// for what nobody thought of.
	backstop = tidewaiter.DefaultJobTimeout + 5*time.Minute
	// maxStuck is how many workers that ignore their timeout are replaced before the lanes are left to starve.
	maxStuck = 16
)

// client is River, whose type depends on that of a transaction.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	QueuePause(ctx context.Context, name string, opts *river.QueuePauseOpts) error
	QueueResume(ctx context.Context, name string, opts *river.QueuePauseOpts) error
	// cancel marks a running job and tells the process it runs in.
	cancel(ctx context.Context, tx *store.Tx, id int64) error
}

type sqliteClient struct{ *river.Client[*sql.Tx] }

func (c sqliteClient) cancel(ctx context.Context, tx *store.Tx, id int64) error {
	_, err := c.JobCancelTx(ctx, tx.SQL(), id)
	return ignoreMissing(err)
}

type postgresClient struct{ *river.Client[pgx.Tx] }

func (c postgresClient) cancel(ctx context.Context, tx *store.Tx, id int64) error {
	_, err := c.JobCancelTx(ctx, tx.Pgx(), id)
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, river.ErrNotFound) {
		return nil
	}
	return err
}

func (q *Queue) newClient() (client, error) {
	cfg := q.riverConfig()
	if q.sqlite {
		c, err := river.NewClient(sqliteDriver{riversqlite.New(q.cfg.DB.Writer()), q}, cfg)
		return sqliteClient{c}, err
	}
	c, err := river.NewClient(postgresDriver{riverpgxv5.New(q.cfg.DB.Pool()), q}, cfg)
	return postgresClient{c}, err
}

func (q *Queue) riverConfig() *river.Config {
	cfg := &river.Config{
		ID:                          q.id,
		Logger:                      riverLog(q.log, q.now),
		CompletedJobRetentionPeriod: keepDone,
		CancelledJobRetentionPeriod: keepFailed,
		DiscardedJobRetentionPeriod: keepFailed,
		JobTimeout:                  tidewaiter.DefaultJobTimeout,
		RescueStuckJobsAfter:        backstop,
		JobStuckHandler: func(_ context.Context, p river.JobStuckHandlerParams) river.JobStuckHandlerResult {
			return river.JobStuckHandlerResult{AddWorkerSlot: p.TotalStuckJobs <= maxStuck}
		},
		RetryPolicy: retryPolicy{},
	}
	if q.sqlite {
		// Rebuilding indexes would hold the only write connection; the table is pruned every few seconds anyway.
		cfg.ReindexerSchedule = river.NeverSchedule()
	}
	if !q.works() {
		return cfg
	}
	cfg.Workers = q.workers
	cfg.Queues = map[string]river.QueueConfig{}
	for lane, n := range q.cfg.Workers {
		if n > 0 {
			cfg.Queues[string(lane)] = river.QueueConfig{MaxWorkers: n, FetchCooldown: fetchCooldown, FetchPollInterval: poll(lane)}
		}
	}
	return cfg
}

func poll(lane tidewaiter.Lane) time.Duration {
	if urgent(lane) {
		return pollUrgent
	}
	return pollPatient
}

// urgent reports whether somebody waits for the work of a lane.
func urgent(lane tidewaiter.Lane) bool {
	return lane == tidewaiter.LaneInteractive || lane == tidewaiter.LaneEvent
}
