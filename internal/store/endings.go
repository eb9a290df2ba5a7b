package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// endings tells those who wait for a scan that it has ended: in SQLite right after the commit, in PostgreSQL by LISTEN and
// NOTIFY, from whatever process it ended in. Being told may fail; who waits looks for itself now and then.
type endings struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by scan
	listen  func(context.Context, *endings)   // until the context ends; nil where nobody else can end a scan
	stop    context.CancelFunc                // of the listener; nil while there is none
	done    chan struct{}                     // closed when the listener has ended
}

func newEndings(listen func(context.Context, *endings)) *endings {
	return &endings{waiting: map[string]map[chan struct{}]bool{}, listen: listen}
}

// wait registers somebody who waits for a scan. The channel gets something when it is time to look.
func (e *endings) wait(id string) (told <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting[id] == nil {
		e.waiting[id] = map[chan struct{}]bool{}
	}
	e.waiting[id][c] = true
	if e.listen != nil && e.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		e.stop, e.done = stop, done
		go func() {
			defer close(done)
			e.listen(ctx, e)
		}()
	}
	return c, func() { e.leave(id, c) }
}

// leave ends the listener with the last one who waits.
func (e *endings) leave(id string, c chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.waiting[id], c); len(e.waiting[id]) == 0 {
		delete(e.waiting, id)
	}
	if len(e.waiting) == 0 && e.stop != nil {
		e.stop()
		e.stop = nil
	}
}

// tell wakes those who wait for the scans; without any, all who wait.
func (e *endings) tell(ids ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(ids) == 0 {
		for id := range e.waiting {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		for c := range e.waiting[id] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// close ends the listener and waits until it has given its connection back.
func (e *endings) close() {
	e.mu.Lock()
	if e.stop != nil {
		e.stop()
		e.stop = nil
	}
	done := e.done
	e.mu.Unlock()
	if done != nil {
		<-done
	}
}

// scanEnded notes that a scan has ended, for those who wait for it. Only scans somebody may wait for are told of: in PostgreSQL
// transactions that notify commit one after the other.
func (tx *Tx) scanEnded(ctx context.Context, id string) error {
	if tx.dialect == SQLite {
		tx.ended = append(tx.ended, id)
		return nil
	}
	_, err := tx.exec(ctx, "select pg_notify(current_schema() || '.scan_ended', ?)", id)
	return err
}

// endingsLook is how often somebody who waits for a scan looks at it without having been told.
const endingsLook = 2 * time.Second

// AwaitScan returns the scan once it has ended, for one of a single image in the interactive lane moments after that. When ctx
// ends first it returns the scan as it is. A scan that does not exist is ErrNotFound.
func (db *DB) AwaitScan(ctx context.Context, id string) (*tidewaiter.Scan, error) {
	told, leave := db.endings.wait(id) //nolint:contextcheck // who listens goes on for others
	defer leave()
	look := time.NewTicker(endingsLook)
	defer look.Stop()
	var last *tidewaiter.Scan
	for {
		s, err := db.Scan(ctx, id)
		switch {
		case err != nil && ctx.Err() != nil && last != nil:
			return last, nil
		case err != nil || s.State.Done():
			return s, err
		}
		last = s
		select {
		case <-told:
		case <-look.C:
		case <-ctx.Done():
			return last, nil
		}
	}
}

// listenRetry is how long the listener waits after it lost its connection.
const listenRetry = time.Second

// listenPostgres tells of the scans that end in any process, on a connection of its own.
func (db *DB) listenPostgres(ctx context.Context, e *endings) {
	for ctx.Err() == nil {
		if err := db.listenOnce(ctx, e); err != nil && ctx.Err() == nil {
			db.log.Warn("not told of scans that end", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenRetry):
		}
	}
}

func (db *DB) listenOnce(ctx context.Context, e *endings) error {
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // it listens: nobody else should get it
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye)
	}()
	var schema string
	if err := conn.QueryRow(ctx, "select current_schema()").Scan(&schema); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{schema + ".scan_ended"}.Sanitize()); err != nil {
		return err
	}
	e.tell() // what ended before is seen by looking
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		e.tell(n.Payload)
	}
}
