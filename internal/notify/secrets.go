package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Secrets is what of a webhook is sealed. It is never shown again.
type Secrets struct {
	URL           secret.Value // whole: that of a Slack webhook is a password
	Signing       secret.Value // zero signs nothing
	Previous      secret.Value // the one before, which signs too until PreviousUntil
	PreviousUntil time.Time
	Headers       map[string]secret.Value
}

type sealedSecrets struct {
	URL           string            `json:"url"`
	Signing       string            `json:"signing,omitempty"`
	Previous      string            `json:"previous,omitempty"`
	PreviousUntil time.Time         `json:"previousUntil,omitzero"`
	Headers       map[string]string `json:"headers,omitempty"`
}

// Seal seals the secrets of the webhook with an id.
func (s *Secrets) Seal(k *secret.Keyring, id string) ([]byte, error) {
	plain := sealedSecrets{URL: s.URL.Reveal(), Signing: s.Signing.Reveal(), Previous: s.Previous.Reveal(), PreviousUntil: s.PreviousUntil,
		Headers: map[string]string{}}
	for name, v := range s.Headers {
		plain.Headers[name] = v.Reveal()
	}
	b, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	return k.Seal(b, id)
}

// OpenSecrets opens what Seal made.
func OpenSecrets(k *secret.Keyring, w *tidewaiter.Webhook) (*Secrets, error) {
	v, err := k.Open(w.Sealed, w.ID)
	if err != nil {
		return nil, fmt.Errorf("open the secrets of webhook %s: %w", w.ID, err)
	}
	var plain sealedSecrets
	if err := json.Unmarshal([]byte(v.Reveal()), &plain); err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the secrets of webhook %s cannot be read", w.ID)
	}
	s := &Secrets{URL: secret.New(plain.URL), Signing: secret.New(plain.Signing), Previous: secret.New(plain.Previous),
		PreviousUntil: plain.PreviousUntil, Headers: map[string]secret.Value{}}
	for name, text := range plain.Headers {
		s.Headers[name] = secret.New(text)
	}
	return s, nil
}

// HeaderNames returns the names of the custom headers, sorted.
func (s *Secrets) HeaderNames() []string { return slices.Sorted(maps.Keys(s.Headers)) }
