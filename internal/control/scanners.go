package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/opinion"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ScannerAsker asks scanners elsewhere; it is package opinion.
type ScannerAsker interface {
	// CheckHost judges what can be judged of a scanner's host before it is asked.
	CheckHost(host string) error
	// CheckTLS reports whether a TLS setting can be used.
	CheckTLS(t tidewaiter.TLS) error
	// Check asks a scanner, stored or not, what it is and can do.
	Check(ctx context.Context, s *tidewaiter.Scanner, secrets *opinion.Secrets) (tidewaiter.ScannerAbout, error)
	// Start has a scanner asked about images that wait for it, as far as it has room.
	Start(ctx context.Context, scannerID string) error
}

// MaxScanners bounds how many scanners there are.
const MaxScanners = 50

// ScannerDraft is a scanner as a caller gives it.
type ScannerDraft struct {
	Name          string
	Login         tidewaiter.ScannerLogin
	Username      string
	Lend          tidewaiter.ScannerLend
	TLS           tidewaiter.TLS
	Disabled      bool
	AllRegistries bool
	Registries    []string
	MaxAge        time.Duration
	Parallel      int

	URL    secret.Value // zero keeps the stored one
	Secret secret.Value // zero keeps the stored one, if the login is still of the same kind

	// Unchecked stores a scanner that cannot be reached now, or does not say what it is.
	Unchecked bool
}

// Scanners returns all scanners by name.
func (c *Control) Scanners(ctx context.Context) ([]*tidewaiter.Scanner, error) {
	return c.store.Scanners(ctx)
}

// Scanner returns one scanner, or ErrNotFound.
func (c *Control) Scanner(ctx context.Context, id string) (*tidewaiter.Scanner, error) {
	return c.store.Scanner(ctx, id)
}

// OpinionCounts returns how many images a scanner is asked about, by state.
func (c *Control) OpinionCounts(ctx context.Context, scannerID string) (map[tidewaiter.OpinionState]int, error) {
	return c.store.OpinionCounts(ctx, scannerID)
}

// AddScanner asks a scanner what it is and stores it. Errors: ErrInvalid, also for one that does not answer as a scanner does; ErrConflict
// for a name that is taken.
func (c *Control) AddScanner(ctx context.Context, draft ScannerDraft) (*tidewaiter.Scanner, error) {
	s := &tidewaiter.Scanner{ID: c.newID(), CreatedAt: c.now()}
	secrets, err := c.draftScanner(ctx, s, &opinion.Secrets{}, draft)
	if err != nil {
		return nil, err
	}
	return s, c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, scannerLock); err != nil {
			return err
		}
		known, err := tx.Scanners(ctx)
		if err != nil {
			return err
		}
		if len(known) >= MaxScanners {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "there are %d scanners already", len(known)).WithFix("remove one first")
		}
		return c.saveScanner(ctx, tx, s, secrets, "scanner.add")
	})
}

// ChangeScanner replaces what a scanner is. What it said stays. Errors: ErrNotFound; ErrInvalid, also when the address moves to another host and
// the secret is to be kept: it was given for the old one.
func (c *Control) ChangeScanner(ctx context.Context, id string, draft ScannerDraft) (*tidewaiter.Scanner, error) {
	s, err := c.store.Scanner(ctx, id)
	if err != nil {
		return nil, err
	}
	before := s.UpdatedAt
	stored, err := opinion.OpenSecrets(c.keyring, s)
	if err != nil {
		return nil, err
	}
	secrets, err := c.draftScanner(ctx, s, stored, draft)
	if err != nil {
		return nil, err
	}
	return s, c.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LockScanner(ctx, id)
		if err != nil {
			return err
		}
		if !now.UpdatedAt.Equal(before) { // the scanner was asked outside of this transaction
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "somebody else changed the scanner meanwhile").WithFix("look at it and try again")
		}
		return c.saveScanner(ctx, tx, s, secrets, "scanner.change")
	})
}

// RemoveScanner removes a scanner with everything it said. Errors: ErrNotFound.
func (c *Control) RemoveScanner(ctx context.Context, id string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Scanner(ctx, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteScanner(ctx, id); err != nil {
			return err
		}
		return c.audit(ctx, tx, "scanner.remove", id, s.Name)
	})
}

// ValidateScanner asks a stored scanner what it is and can do now, and keeps the answer. Errors: ErrNotFound; whatever is wrong with the scanner.
func (c *Control) ValidateScanner(ctx context.Context, id string) (*tidewaiter.Scanner, error) {
	s, err := c.store.Scanner(ctx, id)
	if err != nil {
		return nil, err
	}
	secrets, err := opinion.OpenSecrets(c.keyring, s)
	if err != nil {
		return nil, err
	}
	if s.About, err = c.asker.Check(ctx, s, secrets); err != nil {
		return nil, err
	}
	return s, c.store.Update(ctx, func(tx *store.Tx) error { return tx.SaveScannerAbout(ctx, s.ID, s.About) })
}

// scannerLock keeps two from taking the last place for a scanner at once.
const scannerLock tidewaiter.Origin = "scanners"

// draftScanner takes a draft over into a scanner, asks it what it is, and returns its secrets.
func (c *Control) draftScanner(ctx context.Context, s *tidewaiter.Scanner, stored *opinion.Secrets, draft ScannerDraft) (*opinion.Secrets, error) {
	login, host := s.Login, s.Address
	s.Name, s.Login, s.Username, s.Lend, s.TLS, s.Disabled = draft.Name, draft.Login, draft.Username, draft.Lend, draft.TLS, draft.Disabled
	s.AllRegistries, s.Registries, s.MaxAge, s.Parallel = draft.AllRegistries, append([]string(nil), draft.Registries...), draft.MaxAge, draft.Parallel
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := c.asker.CheckTLS(s.TLS); err != nil {
		return nil, err
	}
	secrets := &opinion.Secrets{URL: stored.URL, Secret: stored.Secret}
	if s.Login != login {
		secrets.Secret = secret.Value{}
	}
	if !draft.URL.IsZero() {
		address, err := opinion.Address(draft.URL, c.asker.CheckHost)
		if err != nil {
			return nil, err
		}
		if address != host && draft.Secret.IsZero() && !secrets.Secret.IsZero() {
			return nil, tidewaiter.Invalid("secret", "the secret was given for %s and is not sent to another host", host).WithFix("give it again")
		}
		secrets.URL, s.Address = draft.URL, address
	}
	if secrets.URL.IsZero() {
		return nil, tidewaiter.Invalid("url", "the scanner needs an address").WithFix("give the one that Harbor would be given: what comes before /api/v1/metadata")
	}
	if !draft.Secret.IsZero() {
		secrets.Secret = draft.Secret
	}
	if err := opinion.CheckSecret(s.Login, secrets.Secret); err != nil {
		return nil, err
	}
	about, err := c.asker.Check(ctx, s, secrets)
	switch {
	case err == nil:
		s.About = about
	case !draft.Unchecked:
		return nil, notAScanner(err)
	case secrets.URL.Reveal() != stored.URL.Reveal():
		s.About = tidewaiter.ScannerAbout{} // what was there before is another
	}
	return secrets, nil
}

// notAScanner says why a scanner is not stored, in the words of whoever wants it to be.
func notAScanner(err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || e.Kind == tidewaiter.ErrBug || e.Kind == tidewaiter.ErrCanceled {
		return err
	}
	field := map[tidewaiter.ErrorKind]string{tidewaiter.ErrAuth: "secret", tidewaiter.ErrTLS: "tls"}[e.Kind]
	if field == "" {
		field = "url"
	}
	fix := "set unchecked to store it all the same"
	if e.Fix != "" {
		fix = e.Fix + "; " + fix
	}
	return &tidewaiter.Error{Kind: tidewaiter.ErrInvalid, Field: field, Msg: e.Msg, Fix: fix, Err: e}
}

func (c *Control) saveScanner(ctx context.Context, tx *store.Tx, s *tidewaiter.Scanner, secrets *opinion.Secrets, action string) error {
	for _, id := range s.Registries {
		if _, err := tx.Registry(ctx, id); tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			return tidewaiter.Invalid("registries", "there is no registry %q", id).WithFix("give the ids of declared registries")
		} else if err != nil {
			return err
		}
	}
	s.UpdatedAt, s.PausedUntil = c.now(), time.Time{}
	var err error
	if s.Sealed, err = secrets.Seal(c.keyring, s.ID); err != nil {
		return err
	}
	if err := tx.PutScanner(ctx, s); err != nil {
		if tidewaiter.KindOf(err) == tidewaiter.ErrConflict {
			return &tidewaiter.Error{Kind: tidewaiter.ErrConflict, Field: "name", Msg: fmt.Sprintf("there is a scanner named %q already", s.Name)}
		}
		return err
	}
	return c.audit(ctx, tx, action, s.ID, s.Name)
}
