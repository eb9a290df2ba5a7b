package testkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Database is a PostgreSQL server that a test has for itself, so that it may take it away.
type Database struct {
	URL string // of a database on it that is empty at first

	t     testing.TB
	bin   string
	dir   string
	port  int
	owner *account
	log   *os.File
	p     *process
}

// OwnPostgres starts a server. It ends with the test.
func OwnPostgres(t testing.TB) *Database {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), serverTimeout)
	defer cancel()
	d := &Database{t: t}
	var err error
	if d.bin, err = postgresPrograms(); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	if d.owner, err = postgresAccount(); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	// Not t.TempDir: the server's account could not get there.
	if d.dir, err = os.MkdirTemp("", "testkit-pg-"); err != nil { //nolint:usetesting // the server's account could not get there
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d.dir) })
	if d.owner != nil {
		if err := os.Chown(d.dir, int(d.owner.uid), int(d.owner.gid)); err != nil {
			t.Fatalf("testkit: %v", err)
		}
	}
	if d.log, err = os.Create(filepath.Join(d.dir, "log")); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() { _ = d.log.Close() })
	if err := makeCluster(ctx, d.bin, d.dir, d.owner); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	if d.port, err = freePort(ctx); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	d.URL = fmt.Sprintf("postgres://testkit@127.0.0.1:%d/postgres?sslmode=disable", d.port)
	d.start()
	t.Cleanup(func() { d.p.stop() })
	return d
}

// Restart ends the server as a crash of its process would, every connection with it, and starts it again. What was committed
// is there afterwards.
func (d *Database) Restart() {
	d.t.Helper()
	d.p.stop()
	d.start()
}

func (d *Database) start() {
	d.t.Helper()
	// A server that crashed leaves the file in which the next one says that it is ready.
	if err := os.Remove(filepath.Join(d.dir, "data", "postmaster.pid")); err != nil && !os.IsNotExist(err) {
		d.t.Fatalf("testkit: %v", err)
	}
	// It need not survive a crash of the machine, as its process is all that ends.
	p, err := serve(d.bin, d.dir, "", d.port, d.owner, d.log, "-c", "fsync=off")
	if err != nil {
		text, _ := os.ReadFile(d.log.Name()) // an addition to the error; it may be missing
		d.t.Fatalf("testkit: start postgres: %v\n%s", err, text)
	}
	d.p = p
}
