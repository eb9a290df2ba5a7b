package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EventAddress is where a registry's events are sent to. The secrets in it are sealed with the registry's id.
type EventAddress struct {
	RegistryID  string
	Sealed      []byte    // the secret end of the address
	Former      []byte    // the one before; nil for none
	FormerUntil time.Time // how long that one is good
	Proof       []byte    // what senders sign with, or send in Header; nil for nothing
	Header      string
	Audience    string // of the tokens of Pub/Sub; "" when they are not looked at
	Email       string // whose they have to be
	CreatedAt   time.Time
	UpdatedAt   time.Time
	RotatedAt   time.Time // when the secret end was made
}

type eventAddressRow struct {
	bun.BaseModel `bun:"table:event_addresses,alias:a"`

	RegistryID  string `bun:",pk"`
	Sealed      []byte
	Former      []byte
	FormerUntil int64
	Proof       []byte
	Header      string
	Audience    string
	Email       string
	CreatedAt   int64
	UpdatedAt   int64
	RotatedAt   int64
}

// PutEventAddress stores the address of a registry in place of the one it has. An unknown registry is ErrNotFound.
func (tx *Tx) PutEventAddress(ctx context.Context, a *EventAddress) error {
	if _, err := tx.Registry(ctx, a.RegistryID); err != nil {
		return err
	}
	row := eventAddressRow{
		RegistryID: text(a.RegistryID), Sealed: a.Sealed, Former: a.Former, FormerUntil: micros(a.FormerUntil), Proof: a.Proof,
		Header: text(a.Header), Audience: text(a.Audience), Email: text(a.Email),
		CreatedAt: micros(a.CreatedAt), UpdatedAt: micros(a.UpdatedAt), RotatedAt: micros(a.RotatedAt),
	}
	q := tx.insert(&row).On("conflict (registry_id) do update")
	for _, column := range []string{"sealed", "former", "former_until", "proof", "header", "audience", "email", "updated_at", "rotated_at"} {
		q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
	}
	_, err := q.Exec(ctx)
	return fail(err, "store the event address of registry %s", strconv.Quote(a.RegistryID))
}

// EventAddress returns the address of a registry, or ErrNotFound when it has none.
func (r *Reader) EventAddress(ctx context.Context, registryID string) (*EventAddress, error) {
	var row eventAddressRow
	if err := r.selectFrom(&row).Where("a.registry_id = ?", text(registryID)).Scan(ctx); err != nil {
		return nil, fail(err, "event address of registry %s", strconv.Quote(registryID))
	}
	return &EventAddress{
		RegistryID: row.RegistryID, Sealed: row.Sealed, Former: row.Former, FormerUntil: timeOf(row.FormerUntil), Proof: row.Proof,
		Header: row.Header, Audience: row.Audience, Email: row.Email,
		CreatedAt: timeOf(row.CreatedAt), UpdatedAt: timeOf(row.UpdatedAt), RotatedAt: timeOf(row.RotatedAt),
	}, nil
}

// DeleteEventAddress takes a registry's address away, or returns ErrNotFound.
func (tx *Tx) DeleteEventAddress(ctx context.Context, registryID string) error {
	n, err := tx.exec(ctx, "delete from event_addresses where registry_id = ?", registryID)
	if err == nil && n == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "the registry has no event address")
	}
	return fail(err, "event address of registry %s", strconv.Quote(registryID))
}
