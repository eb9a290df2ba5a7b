package auth_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	admin    = "admin"
	password = "correct horse"
	remote   = "192.0.2.1:4711"
)

// users keeps users in memory.
type users struct {
	mu  sync.Mutex
	all map[string]tidewaiter.User
	err error // what every call fails with, if not nil
}

func (s *users) User(_ context.Context, name string) (*tidewaiter.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	u, ok := s.all[name]
	if !ok {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "no such user")
	}
	return &u, nil
}

func (s *users) CountUsers(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all), s.err
}

func (s *users) PutUser(_ context.Context, u *tidewaiter.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.all[u.Name] = *u
	}
	return s.err
}

func (s *users) TouchUser(_ context.Context, name string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.all[name]
	u.LastLogin = at
	s.all[name] = u
	return s.err
}

func (s *users) change(name string, f func(*tidewaiter.User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.all[name]
	f(&u)
	s.all[name] = u
}

func (s *users) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, name)
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fixture is a Service with one administrator.
type fixture struct {
	*auth.Service
	users *users
	clock *clock
	keys  *secret.Keyring
}

func params() *argon2id.Params {
	return &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 8, KeyLength: 16}
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	keys, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{users: &users{all: map[string]tidewaiter.User{}}, keys: keys,
		clock: &clock{t: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}}
	f.Service, err = auth.New(auth.Config{Users: f.users, Keys: keys, Params: params(), Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bootstrap(t.Context(), admin, password); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) user(t *testing.T, name string) tidewaiter.User {
	t.Helper()
	u, err := f.users.User(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return *u
}

func wantKind(t *testing.T, err error, kind tidewaiter.ErrorKind) {
	t.Helper()
	if got := tidewaiter.KindOf(err); got != kind {
		t.Fatalf("got %q (%v), want %q", got, err, kind)
	}
}
