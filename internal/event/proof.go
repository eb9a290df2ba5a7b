package event

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Proof is what a delivery has to prove, beyond knowing the address it was sent to. The zero Proof asks for nothing.
type Proof struct {
	// Secret is what senders that can sign have to sign with; empty accepts them unsigned.
	Secret []byte
	// Header is where senders that cannot sign have to send the secret, as the whole of the header's value. "" lets them in
	// without, unless All is set.
	Header string
	// Token checks the bearer token of a push of Pub/Sub, and fails with ErrForbidden; nil looks at none.
	Token func(token string) error
	// All refuses deliveries that can prove nothing where something is asked for.
	All bool
}

// check fails with ErrForbidden for a message that does not prove what it has to.
func (p Proof) check(s *sender, m *message) error {
	if p.Token != nil && s.name == SenderPubSub {
		token, ok := strings.CutPrefix(m.header.Get("Authorization"), "Bearer ")
		if !ok {
			return forbidden("the event comes without the token that Pub/Sub was to send")
		}
		return p.Token(strings.TrimSpace(token))
	}
	switch {
	case len(p.Secret) > 0 && s.signed != nil:
		if !s.signed(m, p.Secret) {
			return forbidden("the event's signature is missing or wrong")
		}
	case len(p.Secret) > 0 && p.Header != "":
		if !same([]byte(m.header.Get(p.Header)), p.Secret) {
			return forbidden("the event's header %s is missing or wrong", p.Header)
		}
	case p.All && len(p.Secret) > 0:
		return forbidden("the sender %s cannot sign, and no header is set for its secret", s.name)
	case p.All && p.Token != nil:
		return forbidden("this address takes nothing but what Pub/Sub pushes with a token")
	}
	return nil
}

func forbidden(format string, args ...any) error {
	return tidewaiter.Errorf(tidewaiter.ErrForbidden, format, args...)
}
