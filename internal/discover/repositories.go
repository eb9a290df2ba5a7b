package discover

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// checkpoint is where the list of repositories stands. The repositories themselves are stored as they come in.
type checkpoint struct {
	Cursor string `json:"cursor,omitempty"`
	Done   bool   `json:"done,omitempty"`
}

// maxPages bounds a list: a registry that never ends its pages is broken or hostile.
const maxPages = 100_000

// repositories reads the list of repositories to its end, unless the scope names each or an earlier attempt was through.
func (l *listing) repositories(ctx context.Context) error {
	var at checkpoint
	text, err := l.Store.Checkpoint(ctx, l.scan.ID)
	if err != nil {
		return err
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &at); err != nil {
			return fmt.Errorf("checkpoint of scan %s: %w", l.scan.ID, err)
		}
	}
	if at.Done {
		return nil
	}
	if names, ok := l.scan.Scope.Named(); ok {
		return l.record(ctx, names, checkpoint{Done: true})
	}
	for range maxPages {
		names, next, err := l.source.Repositories(ctx, at.Cursor)
		if err != nil {
			return err
		}
		if next != "" && next == at.Cursor {
			return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the registry's list of repositories leads in a circle")
		}
		at = checkpoint{Cursor: next, Done: next == ""}
		if err := l.record(ctx, names, at); err != nil || at.Done {
			return err
		}
	}
	return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the registry's list of repositories has more than %d pages", maxPages)
}

// record stores a page of repositories with what the scope says of each, and how far the list was read.
func (l *listing) record(ctx context.Context, names []string, at checkpoint) error {
	var decisions []store.RepositoryDecision
	included := 0
	for _, name := range names {
		decision := l.scan.Scope.Repository(name)
		if decision.Included {
			included++
		} else if l.scan.Partial {
			continue // what this scan passes over says nothing about the registry's own scope
		}
		decisions = append(decisions, store.RepositoryDecision{Name: name, Decision: decision})
	}
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.RecordRepositories(ctx, l.registry.ID, l.scan.ID, l.registry.Host(), decisions); err != nil {
			return err
		}
		if err := tx.AddScanCounts(ctx, l.scan.ID, store.ScanCounts{Repositories: included}); err != nil {
			return err
		}
		return tx.SaveCheckpoint(ctx, l.scan.ID, string(text))
	})
}
