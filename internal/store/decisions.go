package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RepositoryDecision is a repository as a listing found it and whether the scope takes it.
type RepositoryDecision struct {
	Name     string
	Decision tidewaiter.Decision
}

// ExcludedTag is a tag the scope leaves out, and why.
type ExcludedTag struct {
	Name     string              `json:"name"`
	Decision tidewaiter.Decision `json:"decision"`
}

type repositoryRow struct {
	bun.BaseModel `bun:"table:repositories"`

	ID   int64 `bun:",pk,nullzero"`
	Host string
	Name string
}

type registryRepositoryRow struct {
	bun.BaseModel `bun:"table:registry_repositories"`

	RegistryID   string
	RepositoryID int64
	Name         string
	Included     bool
	Reason       string
	Detail       string
	ScanID       string
}

// RecordRepositories stores repositories a scan found, in scope or not, with the scope's decision, and returns their ids
// by name. Running it twice changes nothing.
func (tx *Tx) RecordRepositories(ctx context.Context, registryID, scanID, host string, found []RepositoryDecision) (map[string]int64, error) {
	names := make([]string, len(found))
	decisions := make(map[string]tidewaiter.Decision, len(found))
	for i, d := range found {
		names[i] = text(d.Name)
		decisions[names[i]] = d.Decision
	}
	names = distinct(names)
	ids := make(map[string]int64, len(names))
	err := inChunks(names, func(part []string) error {
		if err := tx.internRepositories(ctx, host, part, ids); err != nil {
			return err
		}
		list := make([]registryRepositoryRow, len(part))
		for i, name := range part {
			d := decisions[name]
			list[i] = registryRepositoryRow{
				RegistryID: registryID, RepositoryID: ids[name], Name: name, ScanID: scanID,
				Included: d.Included, Reason: string(d.Reason), Detail: text(d.Detail),
			}
		}
		_, err := tx.insert(&list).On("conflict (registry_id, repository_id) do update").
			Set("included = excluded.included").Set("reason = excluded.reason").Set("detail = excluded.detail").
			Set("scan_id = excluded.scan_id").Set("gone_at = 0").Exec(ctx)
		return err
	})
	return ids, fail(err, "record repositories of registry %s", registryID)
}

func (tx *Tx) internRepositories(ctx context.Context, host string, names []string, ids map[string]int64) error {
	list := make([]repositoryRow, len(names))
	for i, name := range names {
		list[i] = repositoryRow{Host: text(host), Name: name}
	}
	if _, err := tx.insert(&list).On("conflict do nothing").Returning("NULL").Exec(ctx); err != nil {
		return err
	}
	known, err := rows[repositoryRow](ctx, tx.Reader, "select id, host, name from repositories where host = ? and name in (?)",
		text(host), bun.List(names))
	for _, row := range known {
		ids[row.Name] = row.ID
	}
	return err
}

// RecordRepositoryListed stores that a scan has listed a repository's tags to the end, with how many it saw and selected
// and which ones it left out. The repository must have been recorded, else ErrNotFound.
func (tx *Tx) RecordRepositoryListed(ctx context.Context, registryID, scanID string, repositoryID int64, seen, selected int,
	excluded []ExcludedTag, now time.Time,
) error {
	var doc []byte
	if len(excluded) > 0 {
		var err error
		if doc, err = tx.codec.packJSON(excluded); err != nil {
			return err
		}
	}
	res, err := tx.raw(`update registry_repositories set tags_seen = ?, tags_selected = ?, excluded = ?, listed_at = ?,
			listed_scan_id = ? where registry_id = ? and repository_id = ?`,
		seen, selected, doc, micros(now), scanID, registryID, repositoryID).Exec(ctx)
	return fail(one(res, err), "record the listing of repository %d of registry %s", repositoryID, registryID)
}

// PendingRepositories returns the repositories a scan found in scope and has not listed to the end yet, by name.
func (r *Reader) PendingRepositories(ctx context.Context, registryID, scanID string) ([]tidewaiter.Repository, error) {
	found, err := rows[repositoryRow](ctx, r, `select p.id, p.host, p.name from registry_repositories rr
		join repositories p on p.id = rr.repository_id
		where rr.registry_id = ? and rr.scan_id = ? and rr.included and rr.listed_scan_id <> rr.scan_id order by rr.name`,
		registryID, scanID)
	out := make([]tidewaiter.Repository, len(found))
	for i, row := range found {
		out[i] = tidewaiter.Repository{ID: row.ID, Host: row.Host, Name: row.Name}
	}
	return out, fail(err, "list what scan %s still has to list", scanID)
}

// Excluded returns the tags of a repository that are not scanned, and why: those the last listing left out, as they were
// recorded, then those in scope that turned out to lead to no image, by name. ErrNotFound when the registry has no such
// repository.
func (r *Reader) Excluded(ctx context.Context, registryID, repository string) ([]ExcludedTag, error) {
	type row struct {
		RepositoryID int64
		Excluded     []byte
	}
	found, err := rows[row](ctx, r, "select repository_id, excluded from registry_repositories where registry_id = ? and name = ?",
		registryID, repository)
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "registry %s has no repository %q", registryID, repository)
	}
	if err != nil {
		return nil, fail(err, "read what is excluded of %s", repository)
	}
	var out []ExcludedTag
	if err := r.codec.unpackJSON(found[0].Excluded, &out); err != nil {
		return nil, err
	}
	skipped, err := rows[skippedRow](ctx, r, `select t.name, t.skip_reason, t.skip_detail from tags t
		join registry_tags rt on rt.tag_id = t.id and rt.registry_id = ?
		where t.repository_id = ? and t.skipped <> '' and t.skipped = t.digest and t.gone_at = 0 order by t.name`,
		registryID, found[0].RepositoryID)
	for _, t := range skipped {
		out = append(out, ExcludedTag{t.Name, tidewaiter.Decision{Reason: tidewaiter.Reason(t.SkipReason), Detail: t.SkipDetail}})
	}
	return out, fail(err, "read what is excluded of %s", repository)
}

type skippedRow struct {
	Name       string
	SkipReason string
	SkipDetail string
}
