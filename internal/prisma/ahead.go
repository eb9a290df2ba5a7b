package prisma

import (
	"context"
	"iter"
	"sync"
)

// readAhead is how many results of a list are read at once: most of that is waiting for the database. Each may take megabytes.
const readAhead = 3

// ahead yields what fn makes of items, in their order, and works on the next ones meanwhile. A context that ends is an error, so that
// nobody takes what is there for all.
func ahead[T, R any](ctx context.Context, items []T, fn func(context.Context, *T) (R, error)) iter.Seq2[R, error] {
	type made struct {
		result R
		err    error
	}
	return func(yield func(R, error) bool) {
		var group sync.WaitGroup
		defer group.Wait()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		pending := make(chan chan made, readAhead-1)
		group.Go(func() {
			defer close(pending)
			for i := range items {
				one := make(chan made, 1)
				select {
				case pending <- one:
				case <-ctx.Done():
					return
				}
				group.Go(func() {
					result, err := fn(ctx, &items[i])
					one <- made{result, err}
				})
			}
		})
		for one := range pending {
			if m := <-one; !yield(m.result, m.err) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			var none R
			yield(none, err)
		}
	}
}
