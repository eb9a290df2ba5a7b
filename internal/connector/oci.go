package connector

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// distributionKind is any registry that speaks the distribution API and no other that is known.
func distributionKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindOCI, Title: "Docker Registry v2 or OCI distribution", URLExample: "https://registry.example.com", Anonymous: true,
			Credentials:  []CredentialForm{basicForm("User name and password"), tokenForm("Access token")},
			Repositories: ListingDistribution, Tags: ListingDistribution, PushEvents: []string{"webhook"},
		},
		open: func(o *opening) (*connection, error) {
			return &connection{endpoint: o.endpoint(o.login())}, nil
		},
	}
}
