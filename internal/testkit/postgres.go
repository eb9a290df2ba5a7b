package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresServer is the server all tests of this process share. It is the one thing here that outlives a test: starting
// it takes longer than most tests do.
var postgresServer = sync.OnceValues(func() (dsn string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), serverTimeout)
	defer cancel()
	return startPostgres(ctx)
})

// PostgresServerEnv is the environment variable that gives the address of a server to use.
const PostgresServerEnv = "TIDEWAITER_TEST_POSTGRES"

// PostgresServer returns the address of the server Postgres makes databases on, for a process that is to share it.
func PostgresServer() (dsn string, err error) {
	if dsn, err = postgresServer(); err != nil {
		return "", fmt.Errorf("testkit: %w", err)
	}
	return dsn, nil
}

// serverTimeout bounds making a cluster and starting its server.
const serverTimeout = 2 * time.Minute

// databaseTimeout bounds creating and dropping a database.
const databaseTimeout = 30 * time.Second

// Postgres creates an empty database and returns its address, "postgres://…"; the database goes with the test. The
// server is started once for the test process, on the loopback interface, and ends with it. TIDEWAITER_TEST_POSTGRES may
// give the address of another server, whose user may create databases.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	dsn, drop, err := PostgresDatabase(t.Context())
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
	return dsn
}

// PostgresCopy is Postgres with the tables and rows of another database, to which nobody may be connected.
func PostgresCopy(t testing.TB, from string) (dsn string) {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal("testkit: the address of the database to copy is no URL")
	}
	dsn, drop, err := createDatabase(t.Context(), " TEMPLATE "+pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize())
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
	return dsn
}

// PostgresDatabase is Postgres for programs that are no tests. Drop the database in the end.
func PostgresDatabase(ctx context.Context) (dsn string, drop func() error, err error) {
	return createDatabase(ctx, "")
}

// createDatabase makes a database in the way that how says, which may be nothing.
func createDatabase(ctx context.Context, how string) (dsn string, drop func() error, err error) {
	server, err := postgresServer()
	if err != nil {
		return "", nil, err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, errors.New("the server's address is no URL; give it as postgres://user:password@host:port/database")
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := execute(ctx, server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+how); err != nil {
		return "", nil, fmt.Errorf("create database: %w", err)
	}
	u.Path = "/" + name
	return u.String(), func() error { //nolint:contextcheck // it is dropped when the test is over
		if err := execute(context.Background(), server, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("drop database: %w", err)
		}
		return nil
	}, nil
}

// execute runs one statement outside of a transaction.
func execute(ctx context.Context, dsn, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// startPostgres starts a server, if there is none to use, and returns the address of its own database.
func startPostgres(ctx context.Context) (dsn string, err error) {
	if dsn := os.Getenv(PostgresServerEnv); dsn != "" {
		return dsn, nil
	}
	bin, err := postgresPrograms()
	if err != nil {
		return "", err
	}
	owner, err := postgresAccount()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "testkit-pg-")
	if err != nil {
		return "", fmt.Errorf("start postgres: %w", err)
	}
	if dsn, err = runPostgres(ctx, bin, dir, owner); err != nil {
		return "", errors.Join(fmt.Errorf("start postgres: %w", err), os.RemoveAll(dir))
	}
	return dsn, nil
}

// runPostgres makes a cluster in dir and starts a server on it. The server removes dir when it ends.
func runPostgres(ctx context.Context, bin, dir string, owner *account) (string, error) {
	if owner != nil {
		if err := os.Chown(dir, int(owner.uid), int(owner.gid)); err != nil {
			return "", err
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	if err := makeCluster(ctx, bin, dir, owner); err != nil {
		return "", err
	}
	for attempt := 1; ; attempt++ {
		port, err := freePort(ctx)
		if err != nil {
			return "", err
		}
		// Nothing here has to survive a crash.
		_, err = serve(bin, dir, dir, port, owner, log, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
		if err == nil {
			return fmt.Sprintf("postgres://testkit@127.0.0.1:%d/postgres?sslmode=disable", port), nil
		}
		if attempt == 3 { // somebody else may have taken the port meanwhile, but not that often
			text, _ := os.ReadFile(log.Name()) // an addition to the error; it may be missing
			return "", fmt.Errorf("%w\n%s", err, text)
		}
	}
}

// makeCluster makes the files of a server in dir, which belongs to its owner already.
func makeCluster(ctx context.Context, bin, dir string, owner *account) error {
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), //nolint:gosec // of the installed server
		"-D", filepath.Join(dir, "data"), "-U", "testkit", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.Env, initdb.SysProcAttr = dir, environ([]string{"PG"}), owner.attributes()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// serve starts the server and waits until it says in its data directory that it is ready: an answer on the port might
// be another server's. The program is left to its keeper.
func serve(bin, dir, remove string, port int, owner *account, log *os.File, settings ...string) (*process, error) {
	data := filepath.Join(dir, "data")
	p, err := start(program{
		args: slices.Concat([]string{
			filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-k", dir,
			"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200",
		}, settings),
		env: environ([]string{"PG"}), dir: dir, signal: "QUIT", remove: remove, user: owner, out: log,
	})
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			return nil, errors.New("the server ended at once")
		default:
		}
		// PostgreSQL: the last line of postmaster.pid is the state.
		pid, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if err != nil {
			continue // not written yet
		}
		if lines := strings.Fields(string(pid)); len(lines) > 0 && lines[len(lines)-1] == "ready" {
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("the server is not ready after %v", startTimeout)
}

// freePort is a loopback port nobody listens on at the moment.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%s is no TCP address", l.Addr())
	}
	return address.Port, nil
}

// postgresPrograms is the directory of the newest server programs on this machine.
func postgresPrograms() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return postgresVersion(a) - postgresVersion(b) })
	if len(dirs) > 0 {
		return filepath.Dir(dirs[len(dirs)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", errors.New("no PostgreSQL server programs on this machine: install Debian's package postgresql, or its " +
		"like, or give the address of a running server in TIDEWAITER_TEST_POSTGRES")
}

// postgresVersion reads the version out of Debian's path, 0 when there is none in it.
func postgresVersion(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// postgresAccount is who the server has to run as: PostgreSQL refuses to run as root. Nil means the present user.
func postgresAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &account{uint32(uid), uint32(gid)}, nil
		}
	}
	return nil, errors.New("start postgres: running as root, and there is neither a user postgres nor a user nobody to run it as")
}
