package discover

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// refused reports whether a registry refuses the credential for everything.
func refused(err error) bool {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	return ok && e.Kind == tidewaiter.ErrAuth && e.RetryAfter > 0
}

// awaitCredential says what becomes of a listing whose credential is refused: where it was let in before, it may be in the
// middle of being replaced, and the listing goes on from there in a moment; otherwise it is wrong.
func (l *listing) awaitCredential(ctx context.Context, err error) error {
	e, _ := errors.AsType[*tidewaiter.Error](err)
	letIn, lookup := l.wasLetIn(ctx)
	if lookup != nil {
		return lookup
	}
	if !letIn {
		return &tidewaiter.Error{Kind: e.Kind, Msg: e.Msg, Fix: e.Fix, Err: e.Err}
	}
	note := tidewaiter.ScanError{Kind: e.Kind, Text: e.Error(), At: l.Now()}
	if err := l.Store.Update(ctx, func(tx *store.Tx) error { return tx.NoteScanWait(ctx, l.scan.ID, note) }); err != nil {
		return err
	}
	return err
}

// wasLetIn reports whether this scan has listed anything yet, or looks at one image only, of which it is said by whoever
// refuses it.
func (l *listing) wasLetIn(ctx context.Context) (bool, error) {
	if l.scan.Target != nil {
		return true, nil
	}
	scan, err := l.Store.Scan(ctx, l.scan.ID)
	if err != nil || scan.RepositoriesListed > 0 {
		return err == nil, err
	}
	at, err := l.Store.Checkpoint(ctx, l.scan.ID)
	_, named := scan.Scope.Named() // these are stored without asking
	return at != "" && !named, err
}
