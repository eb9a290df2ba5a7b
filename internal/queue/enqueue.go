package queue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	enqueueChunk = 1000    // jobs in one statement
	maxArgs      = 1 << 18 // bytes of a job's arguments as JSON
)

// Enqueue inserts jobs in the caller's transaction: they exist when it commits, and never do when it does not. Of jobs
// that are the same by kind, lane and UniqueKey the first is inserted, and none when one waits already. It
// returns ErrInvalid, before anything is written, for a job that cannot be run. In what order the jobs of one call run
// is open.
func (q *Queue) Enqueue(ctx context.Context, tx *store.Tx, jobs ...tidewaiter.Job) error {
	rows, err := q.rows(jobs)
	if err != nil || len(rows) == 0 {
		return err
	}
	wake := map[tidewaiter.Lane]bool{}
	for chunk := range slices.Chunk(rows, enqueueChunk) {
		doc, err := json.Marshal(chunk)
		if err != nil {
			return fmt.Errorf("write jobs as JSON: %w", err)
		}
		inserted, err := q.exec(ctx, tx, q.dialect(insertSQLite, insertPostgres), string(doc))
		if err != nil {
			return fmt.Errorf("insert jobs: %w", err)
		}
		for i := range chunk {
			if inserted > 0 && chunk[i].State == "available" {
				wake[chunk[i].Queue] = true
			}
		}
	}
	if err := q.wake(ctx, tx, wake); err != nil {
		return fmt.Errorf("wake workers: %w", err)
	}
	return nil
}

// row is a job as the insert statements read it.
type row struct {
	Args        json.RawMessage    `json:"args"`
	Kind        tidewaiter.JobKind `json:"kind"`
	MaxAttempts int                `json:"max_attempts"`
	Metadata    notes              `json:"metadata"`
	Queue       tidewaiter.Lane    `json:"queue"`
	ScheduledAt string             `json:"scheduled_at,omitempty"`
	State       string             `json:"state"`
	UniqueKey   string             `json:"unique_key,omitempty"` // hexadecimal
}

// rows checks the jobs and drops repetitions. PostgreSQL makes two transactions that insert the same key wait for each
// other, so there they are put in the order of their keys, which rules out that both wait.
func (q *Queue) rows(jobs []tidewaiter.Job) ([]row, error) {
	rows := make([]row, 0, len(jobs))
	seen := map[string]bool{}
	now := q.now()
	for i := range jobs {
		r, err := q.row(&jobs[i], now)
		if err != nil {
			return nil, err
		}
		if r.UniqueKey != "" {
			if seen[r.UniqueKey] {
				continue
			}
			seen[r.UniqueKey] = true
		}
		rows = append(rows, r)
	}
	if !q.sqlite {
		slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.UniqueKey, b.UniqueKey) })
	}
	return rows, nil
}

func (q *Queue) row(job *tidewaiter.Job, now time.Time) (row, error) {
	if err := check(job); err != nil {
		return row{}, err
	}
	args, err := json.Marshal(job.Args)
	if err != nil {
		return row{}, tidewaiter.Errorf(tidewaiter.ErrInvalid, "arguments of a %s job: %w", job.Kind, err)
	}
	// PostgreSQL cannot hold the character and would fail the whole transaction.
	if len(args) > maxArgs || strings.Contains(string(args), `\u0000`) {
		return row{}, tidewaiter.Invalid("args", "arguments of a %s job are too long or hold a NUL character", job.Kind)
	}
	r := row{
		Args: args, Kind: job.Kind, Queue: job.Lane, State: "available", UniqueKey: uniqueKey(job),
		MaxAttempts: cmp.Or(job.MaxAttempts, tidewaiter.DefaultMaxAttempts),
		Metadata:    notes{Registry: job.RegistryID, Turn: turnOf(job), Key: job.UniqueKey, Timeout: job.Timeout.Milliseconds()},
	}
	if job.RunAt.After(now) {
		r.State, r.ScheduledAt = "scheduled", q.timestamp(job.RunAt)
	}
	return r, nil
}

func check(job *tidewaiter.Job) error {
	switch {
	case !validKind(job.Kind):
		return tidewaiter.Invalid("kind", "not a job kind: %q", job.Kind)
	case !validLane(job.Lane):
		return tidewaiter.Invalid("lane", "no such lane: %q", job.Lane)
	case job.MaxAttempts < 0 || job.MaxAttempts > 1000:
		return tidewaiter.Invalid("maxAttempts", "a job cannot have %d attempts", job.MaxAttempts)
	case job.Timeout < 0:
		return tidewaiter.Invalid("timeout", "a job cannot have a timeout of %s", job.Timeout)
	case strings.Contains(job.Turn, "/") || job.Turn == "" && strings.Contains(job.RegistryID, "/"):
		return tidewaiter.Invalid("turn", "the registry of a %s job holds a slash", job.Kind)
	case job.Reach != "" && job.Turn == "" && job.RegistryID == "":
		return tidewaiter.Invalid("reach", "a %s job talks to a registry and does not say to which", job.Kind)
	case strings.Contains(job.RegistryID+job.Turn+job.UniqueKey, "\x00"):
		return tidewaiter.Invalid("uniqueKey", "the keys of a %s job hold a NUL character", job.Kind)
	}
	return nil
}

func validLane(lane tidewaiter.Lane) bool { return slices.Contains(tidewaiter.Lanes(), lane) }

func validKind(kind tidewaiter.JobKind) bool {
	if len(kind) < 2 || len(kind) > 127 {
		return false
	}
	for i, c := range []byte(kind) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

func uniqueKey(job *tidewaiter.Job) string {
	if job.UniqueKey == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(string(job.Kind) + "\x00" + string(job.Lane) + "\x00" + job.UniqueKey))
	return hex.EncodeToString(sum[:])
}

// The statements insert an array of rows. A unique job counts while it is available, pending, retryable, running or
// scheduled: bits 0, 4, 5, 6 and 7 of River's unique_states, 241. (A running one gives its key up, see freeKey.) A conflict changes nothing and locks nothing, unlike
// River's own insert, which rewrites the job it met.
const (
	insertSQLite = `insert into river_job (args, created_at, kind, max_attempts, metadata, queue, scheduled_at, state, tags, unique_key, unique_states)
select jsonb(value -> '$.args'), strftime('%Y-%m-%d %H:%M:%f', 'now'), value ->> '$.kind', value ->> '$.max_attempts', jsonb(value -> '$.metadata'),
	value ->> '$.queue', coalesce(value ->> '$.scheduled_at', strftime('%Y-%m-%d %H:%M:%f', 'now')), value ->> '$.state', jsonb('[]'),
	unhex(value ->> '$.unique_key'), case when value ->> '$.unique_key' is null then null else 241 end
from json_each($1) where true
on conflict (unique_key) where unique_key is not null and unique_states is not null and case state
	when 'available' then unique_states & (1 << 0) when 'cancelled' then unique_states & (1 << 1)
	when 'completed' then unique_states & (1 << 2) when 'discarded' then unique_states & (1 << 3)
	when 'pending' then unique_states & (1 << 4) when 'retryable' then unique_states & (1 << 5)
	when 'running' then unique_states & (1 << 6) when 'scheduled' then unique_states & (1 << 7) else 0 end >= 1
do nothing`

	insertPostgres = `insert into river_job (args, created_at, kind, max_attempts, metadata, queue, scheduled_at, state, tags, unique_key, unique_states)
select coalesce(j.args, 'null'), now(), j.kind, j.max_attempts, j.metadata, j.queue, coalesce(j.scheduled_at, now()), j.state, '{}',
	decode(j.unique_key, 'hex'), case when j.unique_key is null then null else 241::bit(8) end
from jsonb_to_recordset($1::jsonb) as j (args jsonb, kind text, max_attempts smallint, metadata jsonb, queue text,
	scheduled_at timestamptz, state river_job_state, unique_key text)
on conflict (unique_key) where unique_key is not null and unique_states is not null and river_job_state_in_bitmask(unique_states, state)
do nothing`
)
