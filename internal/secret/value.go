// Package secret keeps secrets from being seen by accident and from being read at rest.
//
// A Value is a secret in memory: whatever prints, marshals or logs it gets stars. A Keyring seals secrets for storage,
// each bound to the row it belongs to.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const stars = "***"

// Value is a secret. It prints, marshals and logs as "***"; only Reveal gives it away. The zero Value is empty.
//
// The text is behind a pointer so that fmt shows no more than an address even where it cannot call a method: in an
// unexported field of another type.
type Value struct{ text *string }

// New makes a Value of a secret.
func New(text string) Value { return Value{text: &text} }

// Reveal returns the secret. Call it where the secret is used, and keep nothing of it.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero reports whether there is no secret: an empty one counts as none.
func (v Value) IsZero() bool { return v.Reveal() == "" }

// Equal reports whether two secrets are the same, in a time that does not depend on where they differ.
func (v Value) Equal(o Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(o.Reveal())) == 1
}

// String returns stars.
func (v Value) String() string { return stars }

// GoString returns stars.
func (v Value) GoString() string { return stars }

// Format writes stars whatever the verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, stars) }

// MarshalJSON writes stars.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + stars + `"`), nil }

// MarshalText writes stars.
func (v Value) MarshalText() ([]byte, error) { return []byte(stars), nil }

// UnmarshalText takes the text as the secret, so that configuration and request bodies can hold a Value.
func (v *Value) UnmarshalText(text []byte) error {
	*v = New(string(text))
	return nil
}

// LogValue returns stars.
func (v Value) LogValue() slog.Value { return slog.StringValue(stars) }
