package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	tdb "github.com/aquasecurity/trivy-db/pkg/db"
	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// databaseFile is the name Trivy looks for in an advisory database's directory.
const databaseFile = "trivy.db"

// Open opens dir/trivy.db for reading and puts it in the place of the database open now, between two matches. The old
// one is closed only after that. When anything is wrong with the new one (ErrNotFound: no such file, ErrMalformed: not
// an advisory database, or a torn one) the old one stays. The file must not change while it is open, so every version
// lives in a directory of its own.
func (m *Matcher) Open(dir string, adv tidewaiter.Advisories) error {
	if err := probeDatabase(filepath.Join(dir, databaseFile)); err != nil {
		return fmt.Errorf("open advisories %s: %w", adv.Version, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := tdb.Config{}.Connection()
	if m.opened && m.damaged.Load() {
		old = nil // closing would wait for ever
	}
	if err := initDatabase(dir); err != nil {
		// Trivy has let go of the old one by now; its file is still there to be opened again.
		if m.opened && initDatabase(m.dir) != nil {
			m.opened = false
		}
		return errors.Join(tidewaiter.Errorf(tidewaiter.ErrMalformed, "open advisories %s: %w", adv.Version, err), closeDatabase(old))
	}
	m.dir, m.advisories, m.opened = dir, adv, true
	m.severities, m.damaged = newSeverities(), new(atomic.Bool)
	if err := closeDatabase(old); err != nil {
		return fmt.Errorf("close the previous advisories: %w", err)
	}
	return nil
}

// Advisories returns the version matched against, and false while there is none.
func (m *Matcher) Advisories() (tidewaiter.Advisories, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.advisories, m.opened
}

// Opened returns the directory of the database that is open and its version; "" while there is none.
func (m *Matcher) Opened() (dir string, adv tidewaiter.Advisories) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.dir, m.advisories
}

// Close waits for running matches and closes the database. The Matcher is then as it was when new.
func (m *Matcher) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.opened {
		return nil
	}
	m.opened, m.dir, m.advisories, m.severities = false, "", tidewaiter.Advisories{}, nil
	if m.damaged.Load() {
		return nil
	}
	return tdb.Close()
}

// usable says why nothing can be asked now, if so. The caller holds mu.
func (m *Matcher) usable() error {
	switch {
	case !m.opened:
		return errNoAdvisories()
	case m.damaged.Load():
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the file of advisories %s was changed while in use", m.advisories.Version).
			WithFix("update or import the advisories again")
	}
	return nil
}

// recovered makes an error of a panic. A fault in mapped memory means that the file was cut short while it was open; the
// database library then holds a lock it will never give back, so that nobody may call it again.
func (m *Matcher) recovered(what string, r any) error {
	if _, fault := r.(interface{ Addr() uintptr }); fault {
		m.damaged.Store(true)
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s: the advisories cannot be read: %v", what, r)
	}
	return tidewaiter.Errorf(tidewaiter.ErrBug, "%s: %v", what, r)
}

func initDatabase(dir string) error {
	return tdb.Init(dir, tdb.WithBoltOptions(readOnly()))
}

func closeDatabase(db *bolt.DB) error {
	if db == nil || db == (tdb.Config{}).Connection() {
		return nil
	}
	return db.Close()
}

func readOnly() *bolt.Options {
	return &bolt.Options{ReadOnly: true, Timeout: 5 * time.Second}
}

// probeDatabase looks whether a file can be used, without touching the database that is open. Trivy itself deletes a
// file it cannot map, and forgets the one it had.
func probeDatabase(path string) (err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no %s", databaseFile)
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() == 0:
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s is not a database", databaseFile)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s is damaged: %v", databaseFile, r)
		}
	}()
	db, err := bolt.Open(path, 0o400, readOnly())
	if err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s cannot be opened: %w", databaseFile, err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s is cut short: %d of %d bytes", databaseFile, info.Size(), tx.Size())
		}
		if tx.Bucket([]byte(vulnerabilityBucket)) == nil {
			return tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s holds no vulnerabilities", databaseFile)
		}
		return nil
	})
}
