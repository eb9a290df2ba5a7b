package control

import (
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RegistryKind says what a kind of registry is and can do.
type RegistryKind = connector.Capabilities

// RegistryKinds returns every kind of registry, in the order to show them.
func RegistryKinds() []RegistryKind { return connector.Kinds() }

// checkKind refuses a kind nobody knows, and an address that is not one of its own.
func checkKind(r *tidewaiter.Registry) error {
	if _, ok := connector.CapabilitiesOf(r.Kind); ok {
		return nil
	}
	var names []string
	for _, k := range connector.Kinds() {
		names = append(names, string(k.Kind))
	}
	return tidewaiter.Invalid("kind", "there is no registry kind %q", r.Kind).WithFix("one of %s", strings.Join(names, ", "))
}

// checkCredential refuses a kind of credential that no kind of registry takes.
func checkCredential(c *tidewaiter.Credential) error {
	var kinds []string
	for _, k := range connector.Kinds() {
		for _, form := range k.Credentials {
			if form.Kind == c.Kind {
				return nil
			}
			if !slices.Contains(kinds, string(form.Kind)) {
				kinds = append(kinds, string(form.Kind))
			}
		}
	}
	return tidewaiter.Invalid("kind", "there is no credential kind %q", c.Kind).WithFix("one of %s", strings.Join(kinds, ", "))
}
