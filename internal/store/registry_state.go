package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// LabelsText writes the labels a registry asks for so that equal ones are equal as text: package queue compares them.
func LabelsText(labels []string) string {
	if len(labels) == 0 {
		return "[]"
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(labels)))
	doc, err := json.Marshal(sorted)
	if err != nil {
		panic("labels cannot be encoded: " + err.Error()) // text: only a programming error gets here
	}
	return strings.ReplaceAll(string(doc), `\u0000`, "")
}

// LabelsOf reads what LabelsText wrote.
func LabelsOf(text string) (labels []string, err error) {
	if text == "" || text == "[]" {
		return nil, nil
	}
	return labels, fromText(text, &labels)
}

// PauseRegistries stores since when registries are paused, zero for not any more, and returns how many that changed. Ids
// that do not exist are passed over.
func (tx *Tx) PauseRegistries(ctx context.Context, ids []string, since time.Time) (changed int, err error) {
	err = inChunks(distinct(ids), func(part []string) error {
		where := "paused_at = 0"
		if since.IsZero() {
			where = "paused_at > 0"
		}
		n, err := tx.exec(ctx, "update registries set paused_at = ? where id in (?) and "+where, micros(since), bun.List(part))
		changed += int(n)
		return err
	})
	return changed, fail(err, "pause registries")
}

// WantedLabels returns the different sets of labels that registries ask for, but for the empty one.
func (r *Reader) WantedLabels(ctx context.Context) ([][]string, error) {
	found, err := rows[string](ctx, r, "select distinct labels from registries where labels <> '[]' order by labels")
	if err != nil {
		return nil, fail(err, "list the labels registries ask for")
	}
	out := make([][]string, len(found))
	for i, text := range found {
		if out[i], err = LabelsOf(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// AnyParallel reports whether any registry has a limit to how many of its jobs run at once.
func (r *Reader) AnyParallel(ctx context.Context) (bool, error) {
	n, err := scalar[int](ctx, r, "select count(*) from (select 1 from registries where parallel > 0 limit 1) x")
	return n > 0, fail(err, "look for registries with a limit")
}
