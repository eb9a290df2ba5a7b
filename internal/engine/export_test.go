package engine

import (
	"context"
	"time"
)

// Guard lets tests run a parser of their own under the guard.
func (e *Engine) Guard(ctx context.Context, limit time.Duration, parse func(context.Context) error, release func()) (bool, error) {
	return e.guard(ctx, limit, parse, release)
}

// MaxStuck is how many parsers may outlive their time.
const MaxStuck = maxStuck
