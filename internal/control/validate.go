package control

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ValidationTime bounds a validation, so that a caller has an answer before its own patience ends.
const ValidationTime = 15 * time.Second

// Step is one step of a validation with its outcome.
type Step = oci.Step

// Login is a credential as a caller gave it, before it is stored: kind, user and settings, and the secret beside them.
type Login struct {
	Credential *tidewaiter.Credential
	Secret     secret.Value
}

// Validate really asks the registry whether it can be reached, trusts us, lists and gives out an image. login overrides
// the registry's stored credential; nil uses that. It returns every step taken, and the first error among them.
func (c *Control) Validate(ctx context.Context, r *tidewaiter.Registry, login *Login) ([]Step, error) {
	draft := *r
	if err := validateRegistry(&draft); err != nil {
		return nil, err
	}
	login, err := c.login(ctx, &draft, login)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, ValidationTime)
	defer cancel()
	steps := c.prober.Probe(ctx, &draft, login.Credential, login.Secret)
	for _, s := range steps {
		if err := s.Err(); err != nil {
			return steps, err
		}
	}
	return steps, nil
}
