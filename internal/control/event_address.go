package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EventPath is where the addresses of registries begin: the registry's id and the secret end follow.
const EventPath = "/tidewaiter/v1/events/"

// maxFormer is how long an address can stay good after it was replaced.
const maxFormer = 7 * 24 * time.Hour

// EventAddress is where a registry sends its events, and what a delivery has to prove there.
type EventAddress struct {
	RegistryID string
	End        secret.Value // the secret end of the path, after EventPath and the registry's id
	EventProof
	Signed      bool      // a secret is set; it is never shown
	FormerUntil time.Time // until when the address before this one is good; zero when it is not
	CreatedAt   time.Time
	RotatedAt   time.Time
}

// EventProof is what a delivery has to prove beyond knowing the address. The zero value asks for nothing.
type EventProof struct {
	Header   string // where senders that cannot sign send the secret
	Audience string // of the tokens that Pub/Sub sends along; "" looks at none
	Email    string // the service account they have to be of
}

// EventProofChange says how to set what has to be proved.
type EventProofChange struct {
	EventProof
	Secret *secret.Value // nil keeps it, an empty one takes it away
}

var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
	accountName = regexp.MustCompile(`^[^@\s]{1,100}@[^@\s]{1,150}$`)
)

const (
	minProof = 8
	maxProof = 1024
)

func (p *EventProofChange) check() error {
	p.Header, p.Audience, p.Email = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(p.Header)), strings.TrimSpace(p.Audience), strings.TrimSpace(p.Email)
	switch {
	case p.Header != "" && !headerName.MatchString(p.Header):
		return tidewaiter.Invalid("header", "not the name of a header").WithFix("for example Authorization")
	case p.Secret != nil && !p.Secret.IsZero() && (len(p.Secret.Reveal()) < minProof || len(p.Secret.Reveal()) > maxProof):
		return tidewaiter.Invalid("secret", "the secret has to be between %d and %d bytes long", minProof, maxProof)
	case p.Secret != nil && strings.ContainsAny(p.Secret.Reveal(), "\r\n\x00"):
		return tidewaiter.Invalid("secret", "the secret must not hold line breaks")
	case (p.Audience == "") != (p.Email == ""):
		return tidewaiter.Invalid("email", "audience and email belong together").
			WithFix("name both: the audience of the push subscription, and the service account it sends as")
	case len(p.Audience) > 500:
		return tidewaiter.Invalid("audience", "the audience is longer than 500 characters")
	case p.Email != "" && !accountName.MatchString(p.Email):
		return tidewaiter.Invalid("email", "not the address of a service account").WithFix("for example push@project.iam.gserviceaccount.com")
	}
	return nil
}

// proofOf is what the secret of an address is sealed with: it must not be put in place of the end.
func proofOf(registryID string) string { return registryID + " proof" }

// MakeEventAddress gives a registry an address, or changes what has to be proved at the one it has. Errors: ErrNotFound for
// an unknown registry; ErrInvalid.
func (c *Control) MakeEventAddress(ctx context.Context, registryID string, p EventProofChange) (*EventAddress, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return c.changeAddress(ctx, registryID, "event.address.put", func(a *store.EventAddress) error {
		a.Header, a.Audience, a.Email = p.Header, p.Audience, p.Email
		if p.Secret != nil {
			a.Proof = nil
			if !p.Secret.IsZero() {
				var err error
				if a.Proof, err = c.keyring.Seal([]byte(p.Secret.Reveal()), proofOf(registryID)); err != nil {
					return err
				}
			}
		}
		if a.Header != "" && a.Proof == nil {
			return tidewaiter.Invalid("secret", "the header needs a secret to hold")
		}
		if a.Sealed != nil {
			return nil
		}
		return c.freshEnd(a)
	})
}

// RotateEventAddress gives a registry's address another secret end. The one before stays good for a while, at most a week,
// so that no event is lost until the registry knows the new one; 0 ends it at once, for one that got into wrong hands.
// Errors: ErrNotFound when there is no address; ErrInvalid.
func (c *Control) RotateEventAddress(ctx context.Context, registryID string, keep time.Duration) (*EventAddress, error) {
	if keep < 0 || keep > maxFormer {
		return nil, tidewaiter.Invalid("keep", "the address before can be kept for a week at most").WithFix("between 0s and 168h")
	}
	return c.changeAddress(ctx, registryID, "event.address.rotate", func(a *store.EventAddress) error {
		if a.Sealed == nil {
			return errNoEventAddress
		}
		a.Former, a.FormerUntil = nil, time.Time{}
		if keep > 0 {
			a.Former, a.FormerUntil = a.Sealed, c.now().Add(keep)
		}
		return c.freshEnd(a)
	})
}

var errNoEventAddress = tidewaiter.Errorf(tidewaiter.ErrNotFound, "the registry has no event address").WithFix("make one first")

func (c *Control) freshEnd(a *store.EventAddress) error {
	fresh := make([]byte, 24)
	_, _ = rand.Read(fresh) // never fails
	a.RotatedAt = c.now()
	var err error
	a.Sealed, err = c.keyring.Seal([]byte(base64.RawURLEncoding.EncodeToString(fresh)), a.RegistryID)
	return err
}

// changeAddress changes a registry's address, or one that is yet to be made.
func (c *Control) changeAddress(ctx context.Context, registryID, action string, change func(*store.EventAddress) error) (out *EventAddress, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, tidewaiter.Origin("event address "+registryID)); err != nil {
			return err
		}
		a, err := tx.EventAddress(ctx, registryID)
		if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			a, err = &store.EventAddress{RegistryID: registryID, CreatedAt: c.now()}, nil
		}
		if err == nil {
			err = change(a)
		}
		if err != nil {
			return err
		}
		a.UpdatedAt = c.now()
		if err := tx.PutEventAddress(ctx, a); err != nil {
			return err
		}
		if out, err = c.addressOf(a); err != nil {
			return err
		}
		return c.audit(ctx, tx, action, registryID, "")
	})
	return out, err
}

// EventAddress returns where a registry sends its events, or ErrNotFound when it has no address.
func (c *Control) EventAddress(ctx context.Context, registryID string) (*EventAddress, error) {
	a, err := c.store.EventAddress(ctx, registryID)
	if err != nil {
		return nil, err
	}
	return c.addressOf(a)
}

func (c *Control) addressOf(a *store.EventAddress) (*EventAddress, error) {
	end, err := c.keyring.Open(a.Sealed, a.RegistryID)
	if err != nil {
		return nil, err
	}
	out := &EventAddress{RegistryID: a.RegistryID, End: end, Signed: a.Proof != nil, CreatedAt: a.CreatedAt, RotatedAt: a.RotatedAt,
		EventProof: EventProof{Header: a.Header, Audience: a.Audience, Email: a.Email}}
	if a.Former != nil && c.now().Before(a.FormerUntil) {
		out.FormerUntil = a.FormerUntil
	}
	return out, nil
}

// RevokeEventAddress takes a registry's address away: what is sent there from now on is refused. Errors: ErrNotFound.
func (c *Control) RevokeEventAddress(ctx context.Context, registryID string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteEventAddress(ctx, registryID); err != nil {
			return err
		}
		return c.audit(ctx, tx, "event.address.revoke", registryID, "")
	})
}
