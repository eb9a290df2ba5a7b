package app

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Previewer asks registries what their scope selects.
type Previewer struct {
	Connections *connector.Connector
	Known       func(ctx context.Context, digest string) (time.Time, error) // build times; nil knows none
	Rotation    discover.Rotation
}

var _ control.Previewer = Previewer{}

// Preview implements control.Previewer. It opens the registry anew, so that its requests can be counted.
func (p Previewer) Preview(ctx context.Context, r *tidewaiter.Registry, c *tidewaiter.Credential, s secret.Value, req control.PreviewRequest,
	emit func(control.PreviewedRepository) error,
) (control.PreviewSummary, error) {
	trace := oci.NewTrace(1)
	source, err := p.Connections.Connect(r, c, s, trace)
	if err != nil {
		return control.PreviewSummary{}, err
	}
	return discover.Preview{
		Source: source, Scope: r.Scope, Limits: req.Limits, After: req.After, Requests: trace.Requests, Known: p.Known,
		Rotation: p.Rotation, Now: time.Now,
	}.Run(ctx, emit)
}
