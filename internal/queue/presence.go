package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// In PostgreSQL a process also shows that it is there by an advisory lock, on a connection of its own. When it dies, however it
// does, its system closes that connection and the database lets go of the lock: the others see it within seconds, where its
// silence takes them a quarter of a minute. A machine that dies closes nothing; for that there is the heartbeat.
//
// A lock that is gone proves little by itself: the connection may have been closed by others, the database restarted. So a
// process that is not sure of its lock sends heartbeats in quick succession, and one is dead whose lock is gone and which sends
// none either. One that lost its connections and nothing else may be taken for dead by either sign; then its jobs run twice,
// which they have to bear.

// presence is this process's lock. Only the loop that keeps it, and what runs before and after that, uses the connection.
type presence struct {
	key  int64
	conn *pgx.Conn // nil while there is none

	mu   sync.Mutex
	sure time.Time // when the database last said that the lock is held; zero when it is not
}

// takePresence takes the lock ($1) unless this connection has it. That it asks where it could know is for poolers between here
// and the database, behind which a connection is not always the same.
const takePresence = `select case when exists (select 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and granted
	and database = (select oid from pg_database where datname = current_database())
	and classid::bigint = ($1::bigint >> 32) & 4294967295 and objid::bigint = $1::bigint & 4294967295 and objsubid = 1)
then true else pg_try_advisory_lock($1) end`

// keep takes the lock, or makes sure that it is held.
func (p *presence) keep(ctx context.Context, connect func(context.Context) (*pgx.Conn, error)) (err error) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sure = time.Now(); err != nil {
			p.sure = time.Time{}
		}
	}()
	if p.conn == nil {
		if p.conn, err = connect(ctx); err != nil {
			return err
		}
	}
	var held bool
	if err := p.conn.QueryRow(ctx, takePresence, p.key).Scan(&held); err != nil {
		p.close(ctx)
		return err
	}
	if !held {
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "the lock that shows this process is there is held by another connection")
	}
	return nil
}

// doubted reports whether the database has not said for a while that the lock is held.
func (p *presence) doubted(after time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.sure) > after
}

// closeTimeout bounds saying goodbye to the database.
const closeTimeout = time.Second

// close lets go of the lock.
func (p *presence) close(ctx context.Context) {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = p.conn.Close(ctx) // it may be closed already
	p.conn = nil
}

// connect makes a connection beside those of the pool.
func (q *Queue) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, q.cfg.DB.Pool().Config().ConnConfig)
}

// watchPresence keeps this process's lock and takes up the jobs of processes whose lock is gone. What takes away its own lock may
// have taken those of others, a restart of the database does: for a while after that only silence counts.
func (q *Queue) watchPresence(ctx context.Context) {
	tick := time.NewTicker(q.goneAfter / 3)
	defer tick.Stop()
	pulse := newPulse(q.goneAfter)
	var lost time.Time
	held := true
	for {
		round, cancel := context.WithTimeout(ctx, q.goneAfter)
		err := q.presence.keep(round, q.connect)
		if err != nil {
			lost = time.Now()
			if held { // said once, not each second
				q.complain(ctx, "show that this process is there", err)
			}
		} else if time.Since(lost) > q.cfg.RescueAfter {
			if err := q.takeUpGone(round, pulse); err != nil {
				q.complain(ctx, "look for processes that are gone", err)
			}
		}
		held = err == nil
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watchDoubt sends heartbeats for as long as this process is not sure of its lock. It is a loop of its own because the one that
// keeps the lock may hang.
func (q *Queue) watchDoubt(ctx context.Context) {
	tick := time.NewTicker(q.goneAfter / 6)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !q.presence.doubted(q.goneAfter / 2) {
			continue
		}
		round, cancel := context.WithTimeout(ctx, q.goneAfter)
		if err := q.heartbeat(round); err != nil {
			q.complain(ctx, "send heartbeat", err)
		}
		cancel()
	}
}

// takeUpGone gives the jobs of processes to others whose locks are gone and whose heartbeats have not changed since.
func (q *Queue) takeUpGone(ctx context.Context, pulse *pulse) error {
	gone, err := q.gone(ctx)
	if err != nil {
		return err
	}
	beats := map[string]time.Time{}
	if len(gone) > 0 {
		workers, err := q.cfg.DB.Workers(ctx)
		if err != nil {
			return err
		}
		for _, owner := range gone {
			beats[owner] = time.Time{} // unless it is in the table
		}
		for _, w := range workers {
			if _, ok := beats[w.ID]; ok {
				beats[w.ID] = w.HeartbeatAt
			}
		}
	}
	return q.takeFrom(ctx, pulse.observe(beats, q.now()))
}

// gone returns the other processes that have jobs and should have a lock, but do not.
func (q *Queue) gone(ctx context.Context) (gone []string, err error) {
	rows, err := q.presence.conn.Query(ctx, `select distinct `+q.owner()+` from river_job where state = 'running'`)
	if err != nil {
		return nil, err
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	byKey := map[int64]string{}
	keys := []int64{}
	for _, owner := range owners {
		if key, ok := presenceKey(owner); ok && owner != q.id {
			byKey[key], keys = owner, append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	// Who gets a lock, for the moment of the statement, sees that nobody has it. Several may look at once.
	rows, err = q.presence.conn.Query(ctx, `select key from unnest($1::bigint[]) as key where pg_try_advisory_xact_lock_shared(key)`, keys)
	if err != nil {
		return nil, fmt.Errorf("look for locks: %w", err)
	}
	free, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, key := range free {
		gone = append(gone, byKey[key])
	}
	return gone, err
}
