package engine

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EndOfLife reports whether a distribution's release gets no more security updates today. It asks the detectors' own
// tables, so it takes no advisories. nil is an image without a distribution, which has no life to end.
func EndOfLife(ctx context.Context, d *tidewaiter.Distribution) bool {
	return d != nil && endOfLife(ctx, Release{Family: d.Family, Version: d.Release})
}
