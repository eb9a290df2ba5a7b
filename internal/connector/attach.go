package connector

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Attach pushes artifacts that refer to a manifest: see oci.Registry. The credential needs the right to push.
func (s *Source) Attach(ctx context.Context, repository string, subject tidewaiter.Descriptor, artifacts []oci.Artifact, replaced func(oci.Referrer) bool) ([]string, error) {
	return s.registry.Attach(oci.Asking(ctx, oci.RequestPublish), s.name(repository), subject, artifacts, replaced)
}
