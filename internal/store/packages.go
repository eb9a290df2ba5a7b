package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type packageRow struct {
	bun.BaseModel `bun:"table:packages,alias:p"`

	ID        int64 `bun:",pk,nullzero"`
	Key       string
	Ecosystem string
	Type      string
	Name      string
	Version   string
	Doc       string
}

func (row *packageRow) pkg() (*tidewaiter.Package, error) {
	p := &tidewaiter.Package{ID: row.ID}
	return p, fromText(row.Doc, p)
}

// InternPackages stores those of the packages that are new and sets the ID of each. Packages with the same Key get the
// same ID, now and whoever interns them at the same time; of what is not part of the key the first to come is stored.
func (tx *Tx) InternPackages(ctx context.Context, packages []*tidewaiter.Package) error {
	byKey := make(map[string][]*tidewaiter.Package, len(packages))
	for _, p := range packages {
		key := p.Key()
		byKey[key] = append(byKey[key], p)
	}
	// In the order of keys, so that two that intern the same packages wait for each other instead of deadlocking.
	keys := slices.Sorted(maps.Keys(byKey))
	return fail(inChunks(keys, func(part []string) error {
		missing, err := tx.packageIDs(ctx, part, byKey)
		if err != nil || len(missing) == 0 {
			return err
		}
		list := make([]packageRow, len(missing))
		for i, key := range missing {
			p := byKey[key][0]
			doc, err := json.Marshal(p)
			if err != nil {
				return err
			}
			list[i] = packageRow{
				Key: key, Ecosystem: text(p.Ecosystem), Type: text(p.Type), Name: text(p.Name), Version: text(p.FullVersion()), Doc: text(string(doc)),
			}
		}
		if _, err := tx.insert(&list).On("conflict do nothing").Returning("NULL").Exec(ctx); err != nil {
			return err
		}
		if missing, err = tx.packageIDs(ctx, missing, byKey); err == nil && len(missing) > 0 {
			err = errors.New("interned packages have no numbers")
		}
		return err
	}), "intern packages")
}

// packageIDs sets the ids of those of the packages that are stored and returns the keys of the others, in order.
func (tx *Tx) packageIDs(ctx context.Context, keys []string, byKey map[string][]*tidewaiter.Package) ([]string, error) {
	type row struct {
		ID  int64
		Key string
	}
	found, err := rows[row](ctx, tx.Reader, "select id, key from packages where key in (?)", bun.List(keys))
	if err != nil {
		return nil, err
	}
	have := make(map[string]bool, len(found))
	for _, row := range found {
		have[row.Key] = true
		for _, p := range byKey[row.Key] {
			p.ID = row.ID
		}
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return have[k] }), nil
}

// Packages returns packages in ascending order of their ids. Ids that do not exist are passed over.
func (r *Reader) Packages(ctx context.Context, ids []int64) ([]*tidewaiter.Package, error) {
	out := make([]*tidewaiter.Package, 0, len(ids))
	err := inChunks(distinct(ids), func(part []int64) error {
		found, err := rows[packageRow](ctx, r, "select id, doc from packages where id in (?) order by id", bun.List(part))
		for i := range found {
			p, err := found[i].pkg()
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return err
	})
	return out, fail(err, "read packages")
}

// UnmatchedPackages returns those of the packages whose findings are of another version of the advisories, or that were
// never matched, in ascending order.
func (r *Reader) UnmatchedPackages(ctx context.Context, ids []int64, advisories string) ([]int64, error) {
	var out []int64
	err := inChunks(distinct(ids), func(part []int64) error {
		found, err := rows[int64](ctx, r, "select id from packages where id in (?) and matched <> ? order by id", bun.List(part), advisories)
		out = append(out, found...)
		return err
	})
	return out, fail(err, "find unmatched packages")
}

// Contents returns the stored contents of images by image id. Images that have none are left out.
func (r *Reader) Contents(ctx context.Context, imageIDs []int64) (map[int64]*StoredContent, error) {
	type row struct {
		ImageID int64
		Doc     []byte
	}
	out := make(map[int64]*StoredContent, len(imageIDs))
	err := inChunks(distinct(imageIDs), func(part []int64) error {
		found, err := rows[row](ctx, r, "select image_id, doc from image_contents where image_id in (?)", bun.List(part))
		for _, row := range found {
			plain, err := r.codec.unpack(row.Doc)
			if err != nil {
				return err
			}
			if out[row.ImageID], err = DecodeContent(plain); err != nil {
				return err
			}
		}
		return err
	})
	return out, fail(err, "read contents")
}
