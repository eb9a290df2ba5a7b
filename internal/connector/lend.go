package connector

import (
	"context"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Loan is what somebody else can pull an image with.
type Loan struct {
	URL           string // of the registry
	Repository    string // as the registry names it
	Authorization secret.Value
	Insecure      bool // its certificate is not verified
}

// Lend returns what somebody else can pull from a repository with: see oci.Registry.
func (s *Source) Lend(ctx context.Context, repository string, what tidewaiter.ScannerLend) (Loan, error) {
	how := map[tidewaiter.ScannerLend]oci.Lending{tidewaiter.LendToken: oci.LendTokenOnly, tidewaiter.LendCredential: oci.LendCredentialOnly}[what]
	name := s.name(repository)
	loan, err := s.registry.Lend(oci.Asking(ctx, oci.RequestLogin), name, how)
	if err != nil {
		return Loan{}, err
	}
	url := s.registry.URL()
	return Loan{URL: url, Repository: name, Authorization: secret.New(loan.Header),
		Insecure: s.skipVerify || strings.HasPrefix(url, "http://")}, nil
}
