package auth

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Limits of names and passwords.
const (
	MinPassword = 8    // characters
	MaxPassword = 1024 // bytes
	MaxName     = 128  // bytes
)

// maxHashWait is how long a login may wait for its turn to be hashed and then be hashed.
const maxHashWait = 15 * time.Second

// ValidateName fails with ErrInvalid for a name that cannot log in: Basic ends a name at the first colon, and control
// characters do not survive a header.
func ValidateName(name string) error {
	switch {
	case name == "":
		return tidewaiter.Invalid("name", "a user needs a name")
	case len(name) > MaxName:
		return tidewaiter.Invalid("name", "the user name is longer than %d bytes", MaxName)
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl), strings.Contains(name, ":"):
		return tidewaiter.Invalid("name", "the user name holds a colon or a control character")
	}
	return nil
}

func validatePassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return tidewaiter.Invalid("password", "the password is shorter than %d characters", MinPassword)
	case len(password) > MaxPassword:
		return tidewaiter.Invalid("password", "the password is longer than %d bytes", MaxPassword)
	}
	return nil
}

// plausible reports whether a name and password could be somebody's at all. What could not is refused without work.
func plausible(name, password string) bool {
	return ValidateName(name) == nil && password != "" && len(password) <= MaxPassword
}

// SetPassword gives a user a new password. What was remembered of the old one, and tokens issued for it, end.
func (s *Service) SetPassword(ctx context.Context, name, password string) error {
	if err := validatePassword(password); err != nil {
		return err
	}
	u, err := s.users.User(ctx, name)
	if err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	if u.PasswordHash, err = s.hash(ctx, password); err != nil {
		return err
	}
	u.UpdatedAt = s.now()
	if err := s.users.PutUser(ctx, u); err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	return nil
}

// CreateUser makes a user. It fails with ErrConflict when there is one of that name, and with ErrInvalid when the name,
// the password or the role will not do.
func (s *Service) CreateUser(ctx context.Context, name string, role tidewaiter.Role, password string) error {
	if err := ValidateName(name); err != nil {
		return err
	}
	if err := validatePassword(password); err != nil {
		return err
	}
	if len(role.Permissions()) == 0 {
		return tidewaiter.Invalid("role", "unknown role %q", role).WithFix("one of admin, operator, auditor, ci")
	}
	switch _, err := s.users.User(ctx, name); {
	case err == nil:
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "there is a user %q already", name)
	case tidewaiter.KindOf(err) != tidewaiter.ErrNotFound:
		return fmt.Errorf("create a user: %w", err)
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	now := s.now()
	u := &tidewaiter.User{Name: name, Role: role, PasswordHash: hash, CreatedAt: now, UpdatedAt: now}
	if err := s.users.PutUser(ctx, u); err != nil {
		return fmt.Errorf("create a user: %w", err)
	}
	return nil
}

// Bootstrap makes the first user, an administrator, and does nothing where there are users already. Without a password it
// makes one up and returns it, to be shown this once; otherwise it returns "".
func (s *Service) Bootstrap(ctx context.Context, name, password string) (generated string, err error) {
	n, err := s.users.CountUsers(ctx)
	if err != nil {
		return "", fmt.Errorf("look for users: %w", err)
	}
	if n > 0 {
		return "", nil
	}
	if password == "" {
		var b [15]byte // 120 bits, 24 characters
		if _, err := io.ReadFull(s.random, b[:]); err != nil {
			return "", fmt.Errorf("make up a password: %w", err)
		}
		generated = strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
		password = generated
	}
	if err := s.CreateUser(ctx, name, tidewaiter.RoleAdmin, password); err != nil {
		return "", fmt.Errorf("create the first user: %w", err)
	}
	return generated, nil
}

func (s *Service) hash(ctx context.Context, password string) (string, error) {
	if err := s.turn(ctx); err != nil {
		return "", err
	}
	defer s.hashing.Release(1)
	hash, err := argon2id.CreateHash(password, s.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// maxStoredMemory is the most memory a stored hash may ask for, in KiB.
const maxStoredMemory = 1 << 20

// compare compares a password with a stored hash, whatever parameters that was made with.
func compare(password, hash string) (bool, error) {
	p, _, _, err := argon2id.DecodeHash(hash)
	if err != nil || p.Iterations < 1 || p.Parallelism < 1 || p.Memory > maxStoredMemory {
		return false, tidewaiter.Errorf(tidewaiter.ErrBug, "a stored password hash cannot be read")
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return ok, nil
}

// turn waits until another password may be hashed. The caller then releases s.hashing.
func (s *Service) turn(ctx context.Context) error {
	if err := s.hashing.Acquire(ctx, 1); err != nil {
		return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "too many logins at once", RetryAfter: time.Second, Err: err}
	}
	return nil
}

// dummyHash returns a hash that costs as much to compare as a real one and that no password has: what an unknown user's
// password is compared with, so that the time does not tell who exists.
func dummyHash(p *argon2id.Params) string {
	empty := func(n uint32) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Iterations, p.Parallelism,
		empty(p.SaltLength), empty(p.KeyLength))
}
