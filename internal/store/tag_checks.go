package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// TagCheck is where a registry said that a tag points, when it was asked for that tag alone. Registries whose lists say it
// of all tags leave no checks.
type TagCheck struct {
	Name   string
	Digest string
	At     time.Time
}

type tagCheckRow struct {
	bun.BaseModel `bun:"table:tag_checks,alias:c"`

	RepositoryID int64
	Name         string
	Digest       string
	CheckedAt    int64
}

// TagChecks returns the checks of a repository by tag, of tags in any scope or none.
func (r *Reader) TagChecks(ctx context.Context, repositoryID int64) (map[string]TagCheck, error) {
	found, err := rows[tagCheckRow](ctx, r, "select name, digest, checked_at from tag_checks where repository_id = ?", repositoryID)
	out := make(map[string]TagCheck, len(found))
	for _, row := range found {
		out[row.Name] = TagCheck{Name: row.Name, Digest: row.Digest, At: timeOf(row.CheckedAt)}
	}
	return out, fail(err, "checks of the tags of repository %d", repositoryID)
}

// RecordTagChecks stores checks of a repository's tags. One that is older than what is stored changes nothing.
func (tx *Tx) RecordTagChecks(ctx context.Context, repositoryID int64, checks []TagCheck) error {
	list := make([]tagCheckRow, len(checks))
	for i, c := range checks {
		list[i] = tagCheckRow{RepositoryID: repositoryID, Name: text(c.Name), Digest: text(c.Digest), CheckedAt: micros(c.At)}
	}
	slices.SortFunc(list, func(a, b tagCheckRow) int { return strings.Compare(a.Name, b.Name) }) // the order in which rows are locked
	list = slices.CompactFunc(list, func(a, b tagCheckRow) bool { return a.Name == b.Name })
	err := inChunks(list, func(part []tagCheckRow) error {
		_, err := tx.insert(&part).On("conflict (repository_id, name) do update").
			Set("digest = excluded.digest").Set("checked_at = excluded.checked_at").
			Where("c.checked_at < excluded.checked_at").Returning("NULL").Exec(ctx)
		return err
	})
	return fail(err, "store checks of the tags of repository %d", repositoryID)
}

// ForgetTagChecks removes the checks of tags that are there no more.
func (tx *Tx) ForgetTagChecks(ctx context.Context, repositoryID int64, names []string) error {
	err := inChunks(distinct(names), func(part []string) error {
		_, err := tx.exec(ctx, "delete from tag_checks where repository_id = ? and name in (?)", repositoryID, list(part))
		return err
	})
	return fail(err, "forget checks of the tags of repository %d", repositoryID)
}

// FailedTags returns the names of a repository's tags whose last attempt to scan them failed.
func (r *Reader) FailedTags(ctx context.Context, repositoryID int64) ([]string, error) {
	names, err := rows[string](ctx, r, "select name from tags where repository_id = ? and error_kind <> '' order by name", repositoryID)
	return names, fail(err, "failed tags of repository %d", repositoryID)
}
