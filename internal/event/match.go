package event

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxCandidates bounds how many registries one event has asked.
const maxCandidates = 20

// candidate is a declared registry an event may be about, and the name its repository would have there.
type candidate struct {
	registry   *tidewaiter.Registry
	repository string
	byHost     bool // the event names the registry's host; otherwise only the scope speaks for it
}

// internal lists, for senders whose host may be unknown outside or is not said, the kinds of registry they can be. An event
// of one of these whose host nobody declared goes by the scope. Of all others the host is certain.
func internal(s Sender) []tidewaiter.RegistryKind {
	switch s {
	case SenderDistribution:
		return []tidewaiter.RegistryKind{tidewaiter.KindOCI, tidewaiter.KindGitLab, tidewaiter.KindOpenShift}
	case SenderHarbor:
		return []tidewaiter.RegistryKind{tidewaiter.KindHarbor, tidewaiter.KindOCI}
	case SenderJFrog:
		return []tidewaiter.RegistryKind{tidewaiter.KindArtifactory, tidewaiter.KindOCI}
	case SenderNexus:
		return []tidewaiter.RegistryKind{tidewaiter.KindNexus, tidewaiter.KindOCI}
	case SenderQuay:
		return []tidewaiter.RegistryKind{tidewaiter.KindQuay, tidewaiter.KindOCI}
	case SenderDTR:
		return []tidewaiter.RegistryKind{tidewaiter.KindDTR, tidewaiter.KindOCI}
	case SenderZot, SenderGitea, SenderAlibaba:
		return []tidewaiter.RegistryKind{tidewaiter.KindOCI}
	}
	return nil
}

// candidates returns the declared registries that have what an event is about in scope, at most maxCandidates, or why there
// are none.
func (w *Worker) candidates(ctx context.Context, e *store.Event) (found []candidate, why string, err error) {
	if e.RegistryID != "" {
		return w.addressed(ctx, e)
	}
	found, err = w.anywhere(ctx, e)
	return found, "no declared registry has it in scope", err
}

// anywhere looks among all declared registries.
func (w *Worker) anywhere(ctx context.Context, e *store.Event) ([]candidate, error) {
	declared := false
	if e.Host != "" {
		found, err := w.scoped(ctx, e, store.RegistryFilter{Host: e.Host}, func(*tidewaiter.Registry) bool {
			declared = true
			return true
		})
		for i := range found {
			found[i].byHost = true
		}
		if err != nil || declared {
			return found, err
		}
	}
	kinds := map[tidewaiter.RegistryKind]bool{}
	for _, k := range internal(Sender(e.Sender)) {
		kinds[k] = true
	}
	if len(kinds) == 0 {
		return nil, nil
	}
	return w.scoped(ctx, e, store.RegistryFilter{}, func(r *tidewaiter.Registry) bool { return kinds[r.Kind] })
}

// scoped goes through declared registries page by page and picks those that have the event in scope.
func (w *Worker) scoped(ctx context.Context, e *store.Event, f store.RegistryFilter, take func(*tidewaiter.Registry) bool) ([]candidate, error) {
	var out []candidate
	for f.Page = (store.Page{Limit: 1000}); ; {
		page, next, err := w.Store.Registries(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if !take(r) {
				continue
			}
			out = append(out, named(r, e)...)
			out = out[:min(len(out), maxCandidates)]
		}
		if next == "" || len(out) >= maxCandidates {
			return out, nil
		}
		f.After = next
	}
}

// covers reports whether a registry has a tag in scope by its name. What was pushed a moment ago is young and among the
// newest, so neither limit is asked.
func covers(r *tidewaiter.Registry, repository, tag string) bool {
	if !r.Scope.Repository(repository).Included {
		return false
	}
	scope := r.Scope
	scope.Newest, scope.MaxAgeDays = 0, 0
	return tag == "" || scope.Tags(repository, []tidewaiter.ListedTag{{Name: tag}}, time.Time{})[0].Included
}

// named returns the names an event's repository may have in a registry, those that are in scope.
func named(r *tidewaiter.Registry, e *store.Event) (out []candidate) {
	for _, name := range append([]string{e.Repository}, e.OtherNames...) {
		if covers(r, name, e.Tag) {
			out = append(out, candidate{registry: r, repository: name})
		}
	}
	return out
}
