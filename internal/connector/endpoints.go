package connector

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// endpointNames are the vendors' addresses that can be replaced; the README says whose each is.
var endpointNames = []string{"azure-authority", "ecr", "ecr-public", "gar", "github", "gitlab", "google-keys", "google-metadata",
	"hub", "iam", "kubernetes", "ocir", "pubsub", "sqs", "sts"}

// Replaced reports whether endpoints stand in for the API of a kind, so that its registries may be at any address.
func Replaced(endpoints map[string]string, kind tidewaiter.RegistryKind) bool {
	name := map[tidewaiter.RegistryKind]string{tidewaiter.KindECR: "ecr", tidewaiter.KindACR: "azure-authority", tidewaiter.KindGAR: "gar"}[kind]
	return name != "" && endpoints[name] != ""
}

// CheckEndpoints reports the first of Options.Endpoints that cannot be as an ErrInvalid.
func CheckEndpoints(endpoints map[string]string) error {
	for name, address := range endpoints {
		if !slices.Contains(endpointNames, name) {
			return tidewaiter.Invalid("endpoint", "no vendor's address is called %q", name).WithFix("one of %s", strings.Join(endpointNames, ", "))
		}
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return tidewaiter.Invalid("endpoint", "the address of %s is not of the form https://host[:port][/path]", name)
		}
	}
	return nil
}
