package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The words of a preview, so that surfaces need not know discovery.
type (
	PreviewLimits       = discover.PreviewLimits
	PreviewedRepository = discover.PreviewedRepository
	PreviewedTag        = discover.PreviewedTag
	PreviewSummary      = discover.PreviewSummary
	Cost                = discover.Cost
)

// PreviewRequest says how far to look.
type PreviewRequest struct {
	Limits PreviewLimits
	After  string // the Next of an earlier preview; "" begins
}

// Previewer asks a registry, stored or not, what its scope selects, and changes nothing.
type Previewer interface {
	Preview(ctx context.Context, r *tidewaiter.Registry, c *tidewaiter.Credential, s secret.Value, req PreviewRequest,
		emit func(PreviewedRepository) error) (PreviewSummary, error)
}

// Preview is a part of a registry as its scope divides it.
type Preview struct {
	Repositories []PreviewedRepository
	Summary      PreviewSummary
}

// Preview really asks the registry which repositories and tags its scope selects, why the others are left out, and what
// scans will take. login overrides the registry's stored credential; nil uses that. Nothing is stored. Errors: ErrInvalid
// for a draft that could not be stored, and what the registry answers where its list of repositories cannot be read; what is
// wrong with one repository is said with it.
func (c *Control) Preview(ctx context.Context, r *tidewaiter.Registry, login *Login, req PreviewRequest) (*Preview, error) {
	draft := *r
	if err := validateRegistry(&draft); err != nil {
		return nil, err
	}
	if c.previewer == nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "this process cannot ask registries")
	}
	login, err := c.login(ctx, &draft, login)
	if err != nil {
		return nil, err
	}
	p := &Preview{Repositories: []PreviewedRepository{}}
	p.Summary, err = c.previewer.Preview(ctx, &draft, login.Credential, login.Secret, req, func(one PreviewedRepository) error {
		p.Repositories = append(p.Repositories, one)
		return nil
	})
	return p, err
}

// login returns what to log in with: what the caller gave, else the registry's stored credential.
func (c *Control) login(ctx context.Context, r *tidewaiter.Registry, login *Login) (*Login, error) {
	if login != nil {
		return login, nil
	}
	cred, plain, err := c.openCredential(ctx, r.CredentialID)
	if err != nil {
		return nil, err
	}
	return &Login{Credential: cred, Secret: plain}, nil
}
