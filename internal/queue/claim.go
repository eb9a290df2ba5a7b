package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// River takes the jobs of a lane in the order of their time. Ours is another: each registry has its turn, one after the
// other, and some have to wait because they are paused, at their limit, or for workers with other labels. So River's
// drivers are used with this one method replaced; everything else, finishing jobs included, is River's.

type postgresDriver struct {
	*riverpgxv5.Driver
	q *Queue
}

// GetExecutor returns River's executor, which claims as we do.
func (d postgresDriver) GetExecutor() riverdriver.Executor {
	return executor{d.Driver.GetExecutor(), d.q.claimPostgres}
}

type sqliteDriver struct {
	*riversqlite.Driver
	q *Queue
}

// GetExecutor returns River's executor, which claims as we do.
func (d sqliteDriver) GetExecutor() riverdriver.Executor {
	return executor{d.Driver.GetExecutor(), d.q.claimSQLite}
}

type executor struct {
	riverdriver.Executor
	claim func(context.Context, *riverdriver.JobGetAvailableParams) ([]int64, error)
}

// JobGetAvailable claims jobs of a lane for this process. Those whose rows cannot be read afterwards are given back like
// any claim that was lost.
func (e executor) JobGetAvailable(ctx context.Context, p *riverdriver.JobGetAvailableParams) ([]*rivertype.JobRow, error) {
	ids, err := e.claim(ctx, p)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return e.JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids, Schema: p.Schema})
}

// firstTurn is after every turn: from there the rotation begins with the first one.
const firstTurn = "~"

// rotation remembers whose turn it was last in each lane.
type rotation struct {
	mu   sync.Mutex
	last map[string]string
}

func newRotation() *rotation { return &rotation{last: map[string]string{}} }

func (r *rotation) after(lane string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if turn := r.last[lane]; turn != "" {
		return turn
	}
	return firstTurn
}

func (r *rotation) took(lane, turn string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[lane] = turn
}

// kinds returns what this process can do at present. A job of a kind it has never heard of, which a newer server has
// queued, is left to those who have.
func (q *Queue) kinds() []string {
	var held []tidewaiter.JobKind
	if q.cfg.Hold != nil {
		held = q.cfg.Hold()
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(q.handlers)) {
		if !slices.Contains(held, k) {
			kinds = append(kinds, string(k))
		}
	}
	return kinds
}

// unlimited reports whether jobs of a lane are begun over a registry's limit: somebody waits for them.
func unlimited(lane string) bool { return lane == string(tidewaiter.LaneInteractive) }

// claimLock is the key of the advisory lock that keeps the claims of several processes apart where registries have limits:
// each must see what the one before it took.
const claimLock = 0x7469646577617466

func (q *Queue) claimPostgres(ctx context.Context, p *riverdriver.JobGetAvailableParams) (ids []int64, err error) {
	args := []any{p.Queue, q.rotation.after(p.Queue), p.MaxToLock, p.ClientID, q.admission.fits(), q.kinds(), unlimited(p.Queue)}
	var last *string
	if !q.admission.limited() || unlimited(p.Queue) {
		err = q.cfg.DB.Pool().QueryRow(ctx, claimPostgres, args...).Scan(&last, &ids)
	} else {
		b := &pgx.Batch{} // one round trip, one transaction; each statement sees what was committed when it began
		b.Queue("select pg_advisory_xact_lock($1)", int64(claimLock))
		b.Queue(claimPostgres, args...).QueryRow(func(row pgx.Row) error { return row.Scan(&last, &ids) })
		err = q.cfg.DB.Pool().SendBatch(ctx, b).Close()
	}
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	if last != nil {
		q.rotation.took(p.Queue, *last)
	}
	return ids, nil
}

func (q *Queue) claimSQLite(ctx context.Context, p *riverdriver.JobGetAvailableParams) (ids []int64, err error) {
	fits, err := json.Marshal(q.admission.fits())
	if err != nil {
		return nil, err
	}
	kinds, err := json.Marshal(q.kinds())
	if err != nil {
		return nil, err
	}
	tx, err := q.cfg.DB.Writer().BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	turns, err := openTurns(ctx, tx.StmtContext(ctx, q.open), p.Queue, q.rotation.after(p.Queue), p.MaxToLock, string(fits), unlimited(p.Queue))
	if err != nil || len(turns) == 0 {
		return nil, err
	}
	for i := range turns {
		if err := turns[i].read(ctx, tx, p.Queue, p.MaxToLock, string(kinds)); err != nil {
			return nil, err
		}
	}
	ids = inTurn(turns, p.MaxToLock)
	doc, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, takeSQLite, string(doc), p.ClientID, p.MaxAttemptedBy); err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	q.rotation.took(p.Queue, turns[len(turns)-1].turn)
	return ids, nil
}

// turn is a registry that is open, and the jobs of it that come next.
type turn struct {
	turn string
	room int // how many jobs may begin
	jobs []int64
}

func openTurns(ctx context.Context, open *sql.Stmt, lane, after string, limit int, fits string, unlimited bool) (turns []turn, err error) {
	rows, err := open.QueryContext(ctx, lane, after, limit, fits, unlimited)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t turn
		if err := rows.Scan(&t.turn, &t.room); err != nil {
			return nil, err
		}
		turns = append(turns, t)
	}
	return turns, rows.Err()
}

func (t *turn) read(ctx context.Context, tx *sql.Tx, lane string, limit int, kinds string) error {
	rows, err := tx.QueryContext(ctx, jobsSQLite, lane, t.turn, kinds, min(limit, t.room))
	if err != nil {
		return fmt.Errorf("claim jobs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		t.jobs = append(t.jobs, id)
	}
	return rows.Err()
}

// inTurn takes the first job of each turn, then the second of each, and so on.
func inTurn(turns []turn, limit int) []int64 {
	ids := []int64{}
	for place := 0; ; place++ {
		more := false
		for _, t := range turns {
			if place < len(t.jobs) && len(ids) < limit {
				ids, more = append(ids, t.jobs[place]), true
			}
		}
		if !more {
			return ids
		}
	}
}
