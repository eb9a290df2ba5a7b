package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// StalePackage is a package whose findings are of other advisories, and of which; "" when it was never matched.
type StalePackage struct {
	*tidewaiter.Package
	Matched string
}

// StalePackages returns packages whose findings are of another version of the advisories, in ascending order of their ids
// after the one given, at most limit: what is left of matching the whole fleet again.
func (r *Reader) StalePackages(ctx context.Context, advisories string, after int64, limit int) ([]StalePackage, error) {
	type row struct {
		ID      int64
		Doc     string
		Matched string
	}
	found, err := rows[row](ctx, r, "select id, doc, matched from packages where id > ? and matched <> ? order by id limit ?", after, advisories, limit)
	if err != nil {
		return nil, fail(err, "find stale packages")
	}
	out := make([]StalePackage, len(found))
	for i, row := range found {
		p := packageRow{ID: row.ID, Doc: row.Doc}
		if out[i].Package, err = p.pkg(); err != nil {
			return nil, fail(err, "find stale packages")
		}
		out[i].Matched = row.Matched
	}
	return out, nil
}

// MatchedVersions returns the other versions of the advisories that packages were matched by.
func (r *Reader) MatchedVersions(ctx context.Context, except string) ([]string, error) {
	found, err := rows[string](ctx, r, "select distinct matched from packages where matched <> ? and matched <> ''", except)
	return found, fail(err, "find what packages were matched by")
}

// PackagesWithVulnerabilities returns the ids of packages that have a finding of one of the vulnerabilities, each once.
func (r *Reader) PackagesWithVulnerabilities(ctx context.Context, names []string) (map[int64]struct{}, error) {
	out := map[int64]struct{}{}
	err := inChunks(distinct(names), func(part []string) error {
		found, err := rows[int64](ctx, r, `select distinct f.package_id from vulnerabilities v
			join findings f on f.vulnerability_id = v.id where v.name in (?)`, bun.List(part))
		for _, id := range found {
			out[id] = struct{}{}
		}
		return err
	})
	return out, fail(err, "find packages with vulnerabilities")
}

// MarkMatched says that what is stored of packages is what a version of the advisories says, too.
func (tx *Tx) MarkMatched(ctx context.Context, advisories string, packageIDs []int64) error {
	return fail(inChunks(distinct(packageIDs), func(part []int64) error {
		_, err := tx.exec(ctx, "update packages set matched = ? where id in (?)", advisories, bun.List(part))
		return err
	}), "mark packages as matched")
}

// ForgetMatches has every package matched again that was matched before.
func (tx *Tx) ForgetMatches(ctx context.Context) error {
	_, err := tx.exec(ctx, "update packages set matched = 'forgotten' where matched <> ''")
	return fail(err, "forget matches")
}

// StaleImage is what decides whether an image that other advisories judged has to be judged again.
type StaleImage struct {
	ID            int64
	FindingsSeen  int64 // 0 when nobody can say
	JudgedAt      time.Time
	Advisories    string
	DistroFamily  string
	DistroRelease string
	EndOfLife     bool
}

// StaleImages returns images that other advisories judged, in ascending order of their ids after the one given, at most
// limit.
func (r *Reader) StaleImages(ctx context.Context, advisories string, after int64, limit int) ([]StaleImage, error) {
	type row struct {
		ID            int64
		FindingsSeen  int64
		JudgedAt      int64
		Advisories    string
		DistroFamily  string
		DistroRelease string
		EndOfLife     bool
	}
	found, err := rows[row](ctx, r, `select id, findings_seen, judged_at, advisories, distro_family, distro_release, end_of_life
		from images where id > ? and state = 'judged' and advisories <> ? order by id limit ?`, after, advisories, limit)
	out := make([]StaleImage, len(found))
	for i, row := range found {
		out[i] = StaleImage{row.ID, row.FindingsSeen, timeOf(row.JudgedAt), row.Advisories, row.DistroFamily, row.DistroRelease, row.EndOfLife}
	}
	return out, fail(err, "find stale images")
}

// ChangedPackages returns the packages whose findings have changed after a generation, and the last generation each changed
// in, as far as that is kept.
func (r *Reader) ChangedPackages(ctx context.Context, after int64) (map[int64]int64, error) {
	type row struct {
		PackageID  int64
		Generation int64
	}
	found, err := rows[row](ctx, r, "select package_id, max(generation) as generation from finding_changes where generation > ? group by package_id", after)
	out := make(map[int64]int64, len(found))
	for _, row := range found {
		out[row.PackageID] = row.Generation
	}
	return out, fail(err, "find changed packages")
}

// Holding is one package of one image.
type Holding struct {
	PackageID int64
	ImageID   int64
}

// Holders calls fn with the packages each held by images with ids after one up to another, until it returns false.
func (r *Reader) Holders(ctx context.Context, packageIDs []int64, after, upTo int64, fn func(Holding) bool) error {
	more := true
	return fail(inChunks(distinct(packageIDs), func(part []int64) error {
		if !more {
			return nil
		}
		found, err := rows[Holding](ctx, r, "select package_id, image_id from package_images where package_id in (?) and image_id > ? and image_id <= ?",
			bun.List(part), after, upTo)
		for _, h := range found {
			if more = fn(h); !more {
				break
			}
		}
		return err
	}), "find the images that hold packages")
}

// MarkJudged says that images are judged by a version of the advisories as they are: by findings of a generation, nothing
// of which concerns them. One that was judged by newer findings meanwhile stays as it is.
func (tx *Tx) MarkJudged(ctx context.Context, advisories string, findings int64, imageIDs []int64, now time.Time) error {
	return fail(inChunks(distinct(imageIDs), func(part []int64) error {
		_, err := tx.exec(ctx, `update images set advisories = ?, judged_at = ?, updated_at = ?, findings_seen = ? where id in (?)
			and findings_seen <= ?`, advisories, micros(now), micros(now), findings, bun.List(part), findings)
		return err
	}), "mark images as judged")
}

// StaleByUse returns the ids of all images that other advisories judged: those that most tags show first, among equals the
// newest.
func (r *Reader) StaleByUse(ctx context.Context, advisories string) ([]int64, error) {
	ids, err := rows[int64](ctx, r, `select i.id from images i left join
			(select image_id, count(*) as tags from tag_images where shown group by image_id) used on used.image_id = i.id
		where i.state = 'judged' and i.advisories <> ? order by coalesce(used.tags, 0) desc, i.id desc`, advisories)
	return ids, fail(err, "find stale images")
}

// JudgedBefore returns the ids of judged images below an id, the newest first, at most limit. 0 begins with the newest.
func (r *Reader) JudgedBefore(ctx context.Context, before int64, limit int) ([]int64, error) {
	query, args := "select id from images where state = 'judged'", []any{}
	if before > 0 {
		query, args = query+" and id < ?", append(args, before)
	}
	ids, err := rows[int64](ctx, r, query+" order by id desc limit ?", append(args, limit)...)
	return ids, fail(err, "find judged images")
}
