package oci

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Lending says what may be lent.
type Lending int

// The ways.
const (
	LendTokenElseCredential Lending = iota
	LendTokenOnly
	LendCredentialOnly
)

// Loan is what somebody else can pull from a repository with. It prints as "***".
type Loan struct {
	// Header is an Authorization header; "" when the registry is open to the anonymous and nothing is lent.
	Header string
}

// Format implements fmt.Formatter: no verb shows a secret.
func (l Loan) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (l Loan) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText keeps secrets out of encoders.
func (l Loan) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// URL returns the registry's address: scheme and host, perhaps with the path the v2 API hangs under.
func (r *Registry) URL() string { return r.base.String() }

// Lend returns what somebody else can pull from one repository with: where the registry has a token server, a fresh token that may do
// that and nothing else; else the credential itself, if that may be lent. Errors: ErrUnsupported when what may be lent cannot be had.
func (r *Registry) Lend(ctx context.Context, repository string, what Lending) (Loan, error) {
	if err := CheckRepository(repository); err != nil {
		return Loan{}, err
	}
	a := r.auth
	cred, err := a.credential(ctx)
	if err != nil || cred.anonymous() {
		return Loan{}, err
	}
	if what != LendCredentialOnly && cred.AccessToken == "" {
		if err := a.learn(ctx); err != nil {
			return Loan{}, err
		}
		if scheme, srv := a.learnt(); scheme == schemeBearer {
			loan, err := a.lendToken(ctx, cred, srv, "repository:"+repository+":pull")
			if err == nil || what == LendTokenOnly || !srv.basic {
				return loan, err
			}
		}
	}
	if what == LendTokenOnly {
		return Loan{}, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s gives no tokens for single repositories", a.host).
			WithFix("let the scanner have the credential: lend auto or credential")
	}
	header := cred.direct()
	if header == "" {
		return Loan{}, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the credential for %s is no user name and password that could be lent", a.host).
			WithFix("lend a token")
	}
	return Loan{Header: header}, nil
}

// lendToken fetches a token of which nobody has used a part of its life yet.
func (a *authorizer) lendToken(ctx context.Context, cred Credential, srv server, scope string) (Loan, error) {
	token, _, err := a.fetchToken(ctx, cred, srv, scope)
	if tidewaiter.KindOf(err) == tidewaiter.ErrAuth && a.refused != nil {
		a.refused()
		if fresh, e := a.credential(ctx); e == nil && fresh != cred {
			token, _, err = a.fetchToken(ctx, fresh, srv, scope)
		}
	}
	if err != nil {
		return Loan{}, err
	}
	return Loan{Header: "Bearer " + token}, nil
}
