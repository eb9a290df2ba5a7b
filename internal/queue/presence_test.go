package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// neighbours is a child that runs four jobs, and a queue beside it that would take them.
type neighbours struct {
	url   string
	db    *store.DB
	child *process
	id    string // of the child
	runs  chan tidewaiter.JobRun
}

// newNeighbours has a process be dead so long after its lock is gone; silence means nothing.
func newNeighbours(t *testing.T, gone time.Duration) *neighbours {
	t.Helper()
	n := &neighbours{url: testkit.Postgres(t), runs: make(chan tidewaiter.JobRun, 10)}
	n.db = open(t, n.url)
	q := newQueue(t, n.db, func(c *queue.Config) { c.Workers, c.RescueAfter = each(4), never })
	queue.SetGoneAfter(q, gone)
	q.Handle("block", func(_ context.Context, run tidewaiter.JobRun) error { n.runs <- run; return nil })
	n.child = spawn(t, n.url, childGone+"="+gone.String())
	for range 4 {
		enqueue(t, n.db, q, tidewaiter.Job{Kind: "block", Lane: tidewaiter.LaneFresh, MaxAttempts: 2})
		if line := next(t, n.child.lines); line != "began" {
			t.Fatal(line)
		}
	}
	workers, err := n.db.Workers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("workers %+v, %v", workers, err)
	}
	n.id = workers[0].ID
	start(t, q)
	return n
}

// taken waits until the queue has run the jobs of the child.
func (n *neighbours) taken(t *testing.T) {
	t.Helper()
	for range 4 {
		if run := next(t, n.runs); run.Attempt != 1 {
			t.Errorf("attempt %d", run.Attempt)
		}
	}
	eventually(t, "the jobs of the child are completed", func() bool { return count(t, n.db, "kind = 'block' and state <> 'completed'") == 0 })
}

// holder returns which connection holds the lock of the child; 0 when none does.
func (n *neighbours) holder(t *testing.T) (pid int) {
	t.Helper()
	key, ok := queue.PresenceKey(n.id)
	if !ok {
		t.Fatalf("the child has the id %s", n.id)
	}
	if err := n.db.Pool().QueryRow(t.Context(), `select coalesce(max(pid), 0) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
		and granted and classid::bigint = ($1::bigint >> 32) & 4294967295 and objid::bigint = $1::bigint & 4294967295`, key).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func (n *neighbours) disconnect(t *testing.T, pid int) {
	t.Helper()
	if _, err := n.db.Pool().Exec(t.Context(), "select pg_terminate_backend($1)", pid); err != nil {
		t.Fatal(err)
	}
}

// TestCrashIsSeenByTheLock kills a process. Another one takes its jobs although it is not silent yet, and none of one that is of
// a version without locks.
func TestCrashIsSeenByTheLock(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t, quick)
	if _, err := n.db.Pool().Exec(t.Context(), `insert into river_job (args, kind, queue, state, attempt, max_attempts, attempted_at, attempted_by)
		values ('1', 'old', 'fresh', 'running', 1, 5, now(), array['test-1a2b3c'])`); err != nil {
		t.Fatal(err)
	}
	n.child.kill()
	n.taken(t)
	if crashed, old := count(t, n.db, "metadata ->> 'crashes' = '1'"), count(t, n.db, "kind = 'old' and state = 'running'"); crashed != 4 || old != 1 {
		t.Errorf("%d crashes were noted, %d jobs run in the process of the old version", crashed, old)
	}
}

// TestLostLockIsNoDeath takes the lock away from a process that lives: it gets it back, and when it cannot, it goes on with its
// jobs all the same.
func TestLostLockIsNoDeath(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t, 5*time.Second)
	first := n.holder(t)
	if first == 0 {
		t.Fatal("the child has jobs and no lock")
	}
	n.disconnect(t, first)
	var second int
	eventually(t, "the child has its lock again", func() bool {
		second = n.holder(t)
		return second != 0 && second != first
	})

	// Whoever shares the lock keeps the child from having it, and nobody from seeing that it is gone.
	conn, err := pgx.Connect(t.Context(), n.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	key, _ := queue.PresenceKey(n.id)
	shared := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "select pg_advisory_lock_shared($1)", key)
		shared <- err
	}()
	eventually(t, "the test waits for the lock", func() bool {
		var waiting bool
		err := n.db.Pool().QueryRow(t.Context(), "select exists (select 1 from pg_locks where locktype = 'advisory' and not granted)").Scan(&waiting)
		return err == nil && waiting
	})
	n.disconnect(t, second)
	if err := next(t, shared); err != nil {
		t.Fatal(err)
	}
	// It beats six times in the time after which it would be dead.
	var last time.Time
	for changes := 0; changes < 9; {
		eventually(t, "the child's heart beats", func() bool {
			workers, err := n.db.Workers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range workers {
				if w.ID == n.id && !w.HeartbeatAt.Equal(last) {
					last = w.HeartbeatAt
					changes++
					return true
				}
			}
			return false
		})
	}
	if pid := n.holder(t); pid != 0 {
		t.Fatalf("connection %d has the child's lock", pid)
	}
	if lost := count(t, n.db, "attempt <> 1 or state <> 'running' or metadata ->> 'crashes' is not null"); lost != 0 {
		t.Errorf("%d jobs were taken from a process that lives", lost)
	}
	n.child.kill()
	n.taken(t)
}

func TestPresenceKey(t *testing.T) {
	for _, name := range []string{"", "host", "a@b", "host-1"} {
		key, ok := queue.PresenceKey(queue.ClientID(name, '@'))
		if again, _ := queue.PresenceKey(queue.ClientID(name, '@')); !ok || again == key {
			t.Errorf("%q: %d %v, then %d", name, key, ok, again)
		}
		if key, ok := queue.PresenceKey(queue.ClientID(name, '-')); ok {
			t.Errorf("%q: a process of an old version has the key %d", name, key)
		}
	}
	if key, ok := queue.PresenceKey("host@3w5e11264sgsf"); !ok || key != -1 {
		t.Errorf("the highest key is %d, %v", key, ok)
	}
}
