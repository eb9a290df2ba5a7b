package event

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// addressed looks in the one registry whose address an event came to. An event that says it is about another is refused
// there: knowing the address of one registry is no leave to speak for the rest.
func (w *Worker) addressed(ctx context.Context, e *store.Event) ([]candidate, string, error) {
	r, err := w.Store.Registry(ctx, e.RegistryID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil, "the registry was removed meanwhile", nil
	}
	if err != nil {
		return nil, "", err
	}
	other, err := w.another(ctx, r, e)
	if err != nil {
		return nil, "", err
	}
	if other {
		return nil, fmt.Sprintf("the event is about %s and came to the address of %s", e.Host, r.Host()), nil
	}
	found := named(r, e)
	for i := range found {
		found[i].byHost = true
	}
	return found, "the registry does not have it in scope", nil
}

// another reports whether an event is about another registry than the one it was sent to: its host is that of another
// declared one, or the sender's hosts are certain and it is not the registry's. A host nobody declared may be the name the
// registry goes by inside its own network.
func (w *Worker) another(ctx context.Context, r *tidewaiter.Registry, e *store.Event) (bool, error) {
	if e.Host == "" || e.Host == r.Host() || sameECR(r, e) {
		return false, nil
	}
	if internal(Sender(e.Sender)) == nil {
		return true, nil
	}
	n, err := w.Store.CountRegistries(ctx, store.RegistryFilter{Host: e.Host})
	return n > 0, err
}

// sameECR reports whether an event of ECR is about the account and region a registry is declared with. AWS: one registry has
// several host names, and an endpoint of one's own has another still.
func sameECR(r *tidewaiter.Registry, e *store.Event) bool {
	if Sender(e.Sender) != SenderECR || r.Kind != tidewaiter.KindECR {
		return false
	}
	account, region := r.Settings["accountId"], r.Settings["region"]
	if m := ecrHosts.FindStringSubmatch(r.Host()); m != nil {
		account, region = m[1], m[3]
	}
	return e.Host == ecrHost(account, region)
}
