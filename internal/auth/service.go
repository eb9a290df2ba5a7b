// Package auth knows who is asking: passwords, the tokens of each API, throttling of those who guess.
//
// Every way in ends at the stored user: a token or a remembered password is good only as long as the user exists and has
// the password it was given for, and the role is read anew each time. Credentials appear in no error and no log.
package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Users is where users are kept.
type Users interface {
	// User returns the user of that name, or ErrNotFound. Names are compared exactly.
	User(ctx context.Context, name string) (*tidewaiter.User, error)
	// CountUsers returns how many there are.
	CountUsers(ctx context.Context) (int, error)
	// PutUser stores a user, in place of the one with the same name if there is one.
	PutUser(ctx context.Context, u *tidewaiter.User) error
	// TouchUser sets LastLogin and nothing else.
	TouchUser(ctx context.Context, name string, at time.Time) error
}

// Config is what a Service needs.
type Config struct {
	Users Users
	Keys  *secret.Keyring // the keys tokens are signed with are derived from it

	Hashes int64            // passwords hashed at once, each with Params.Memory; 0 is 2
	Params *argon2id.Params // for new passwords; nil is 19 MiB, 2 passes, 1 lane (OWASP's recommendation for argon2id)
	Now    func() time.Time // nil is time.Now
	Random io.Reader        // for generated passwords; nil is crypto/rand
}

// Service authenticates. It is safe for concurrent use and starts no goroutine that outlives a hash being computed.
type Service struct {
	users  Users
	keys   *secret.Keyring
	params *argon2id.Params
	now    func() time.Time
	random io.Reader

	hashing  *semaphore.Weighted
	flights  singleflight.Group
	throttle *throttle
	verified *verified
	key      []byte // of this process; what the cache's and the throttle's keys are made with
	dummy    string // a hash no password has
}

// New makes a Service.
func New(cfg Config) (*Service, error) {
	s := &Service{users: cfg.Users, keys: cfg.Keys, params: cfg.Params, now: cfg.Now, random: cfg.Random}
	if s.params == nil {
		s.params = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	hashes := cfg.Hashes
	if hashes <= 0 {
		hashes = 2
	}
	s.hashing = semaphore.NewWeighted(hashes)
	s.key = make([]byte, 32)
	_, _ = rand.Read(s.key) // never fails
	s.throttle = newThrottle(maxThrottled)
	s.verified = newVerified(maxVerified)
	s.dummy = dummyHash(s.params)
	for _, style := range []tokenStyle{prismaStyle, qualysStyle} {
		if _, err := s.signingKey(style); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Login checks a name and password and notes the time of the login. Remote is the address the request came from; an
// empty one is not throttled. It fails with ErrUnauthorized, the same for an unknown name and a wrong password, or with
// ErrLimit while the name or the address has to wait.
func (s *Service) Login(ctx context.Context, name, password, remote string) (tidewaiter.User, error) {
	u, err := s.check(ctx, name, password, remote)
	if err != nil {
		return tidewaiter.User{}, err
	}
	now := s.now()
	if err := s.users.TouchUser(ctx, u.Name, now); err != nil {
		return tidewaiter.User{}, fmt.Errorf("note the login: %w", err)
	}
	u.LastLogin = now
	return *u, nil
}

// check checks a name and password: from memory where they were right a moment ago, else by hashing. Those who ask for
// the same at the same time share one answer.
func (s *Service) check(ctx context.Context, name, password, remote string) (*tidewaiter.User, error) {
	if !plausible(name, password) {
		return nil, errCredentials()
	}
	id := s.digest("credential", name, password)
	if mark, ok := s.verified.get(id, s.now()); ok {
		u, err := s.users.User(ctx, name)
		if err == nil && hmac.Equal(mark[:], s.passwordMark(u)) {
			return u, nil
		}
		if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			return nil, fmt.Errorf("look up the user: %w", err)
		}
		s.verified.forget(id)
	}
	// The work goes on when the first who asked goes away: others may wait for it.
	detached := context.WithoutCancel(ctx)
	result := s.flights.DoChan(string(id[:])+network(remote), func() (any, error) {
		ctx, cancel := context.WithTimeout(detached, maxHashWait)
		defer cancel()
		return s.checkByHash(ctx, id, name, password, remote)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		u := *r.Val.(*tidewaiter.User) //nolint:forcetypeassert // what checkByHash returns
		return &u, nil
	case <-ctx.Done():
		return nil, tidewaiter.Errorf(tidewaiter.ErrCanceled, "the login was cut off: %w", ctx.Err())
	}
}

func (s *Service) checkByHash(ctx context.Context, id digest, name, password, remote string) (*tidewaiter.User, error) {
	keys := s.throttleKeys(name, remote)
	if err := s.throttle.check(keys, s.now()); err != nil {
		return nil, err
	}
	u, err := s.users.User(ctx, name)
	unknown := tidewaiter.KindOf(err) == tidewaiter.ErrNotFound
	if err != nil && !unknown {
		return nil, fmt.Errorf("look up the user: %w", err)
	}
	hash := s.dummy
	if !unknown {
		hash = u.PasswordHash
	}
	if err := s.turn(ctx); err != nil {
		return nil, err
	}
	defer s.hashing.Release(1)
	// Again, for those that failed while this one waited: many guesses at once do not slip through together.
	if err := s.throttle.check(keys, s.now()); err != nil {
		return nil, err
	}
	ok, err := compare(password, hash)
	if err != nil {
		return nil, err
	}
	if unknown || !ok {
		s.throttle.fail(keys, s.now())
		return nil, errCredentials()
	}
	s.throttle.forgive(keys[0])
	s.verified.put(id, [32]byte(s.passwordMark(u)), s.now())
	return u, nil
}

// throttleKeys returns what a login is throttled by, the name first.
func (s *Service) throttleKeys(name, remote string) []digest {
	keys := []digest{s.digest("name", name)}
	if remote != "" {
		keys = append(keys, s.digest("remote", network(remote)))
	}
	return keys
}

type digest [sha256.Size]byte

// digest returns a fingerprint of the parts that means nothing outside this process.
func (s *Service) digest(parts ...string) (d digest) {
	mac := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(p), p) // a hash takes whatever is written
	}
	mac.Sum(d[:0])
	return d
}

// passwordMark returns a fingerprint of the user's present password, for this process only.
func (s *Service) passwordMark(u *tidewaiter.User) []byte {
	d := s.digest("password", u.Name, u.PasswordHash)
	return d[:]
}

func errCredentials() error {
	return tidewaiter.Errorf(tidewaiter.ErrUnauthorized, "the user name or password is wrong")
}

// Require fails with ErrForbidden when the user's role lacks the permission.
func Require(u tidewaiter.User, p tidewaiter.Permission) error {
	if u.Role.May(p) {
		return nil
	}
	return tidewaiter.Errorf(tidewaiter.ErrForbidden, "the user %q does not have the permission %s", u.Name, p).
		WithFix("ask an administrator for a role that has it")
}
