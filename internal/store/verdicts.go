package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// JudgedImage is an image with what it takes to judge it again from what is stored.
type JudgedImage struct {
	*tidewaiter.Image                // with layers, config and judgement
	FirstJudged       time.Time      // no finding was first found on it before that
	FindingsSeen      int64          // the generation its findings were read at; 0 when nobody can say
	Names             []string       // the full names, host/repository:tag, of the tags there that point to it
	Content           *StoredContent // nil when there is none, or what is stored cannot be read
}

// JudgedImages returns judged images in ascending order of their ids after the one given, at most limit.
func (r *Reader) JudgedImages(ctx context.Context, after int64, limit int) ([]JudgedImage, error) {
	out, err := r.judgedImages(ctx, after, limit, "")
	return out, fail(err, "read judged images")
}

func (r *Reader) judgedImages(ctx context.Context, after int64, limit int, and string, args ...any) ([]JudgedImage, error) {
	args = append(append([]any{after}, args...), limit)
	found, err := rows[storedImage](ctx, r, "select "+imageColumns+", i.doc from images i where i.id > ? and i.state = 'judged'"+
		and+" order by i.id limit ?", args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	out, ids := make([]JudgedImage, len(found)), make([]int64, len(found))
	for i := range found {
		ids[i], out[i].FirstJudged, out[i].FindingsSeen = found[i].ID, timeOf(found[i].FirstJudged), found[i].FindingsSeen
		if out[i].Image, err = r.image(&found[i]); err != nil {
			return nil, err
		}
	}
	names, err := r.namesOfImages(ctx, ids)
	if err != nil {
		return nil, err
	}
	contents, err := r.readableContents(ctx, ids)
	for i, id := range ids {
		out[i].Names, out[i].Content = names[id], contents[id]
	}
	return out, err
}

// readableContents is Contents without those that are damaged: one of them stands in the way of no other.
func (r *Reader) readableContents(ctx context.Context, ids []int64) (map[int64]*StoredContent, error) {
	contents, err := r.Contents(ctx, ids)
	if tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		return contents, err
	}
	contents = make(map[int64]*StoredContent, len(ids))
	for _, id := range ids {
		one, err := r.Contents(ctx, []int64{id})
		switch {
		case err == nil:
			contents[id] = one[id]
		case tidewaiter.KindOf(err) != tidewaiter.ErrMalformed:
			return nil, err
		}
	}
	return contents, nil
}

func (r *Reader) namesOfImages(ctx context.Context, ids []int64) (map[int64][]string, error) {
	type row struct {
		ImageID   int64
		Reference string
	}
	out := make(map[int64][]string, len(ids))
	err := inChunks(ids, func(part []int64) error {
		found, err := rows[row](ctx, r, `select ti.image_id, t.reference from tag_images ti join tags t on t.id = ti.tag_id
			where ti.image_id in (?) and t.gone_at = 0 order by t.reference`, bun.List(part))
		for _, row := range found {
			out[row.ImageID] = append(out[row.ImageID], row.Reference)
		}
		return err
	})
	return out, err
}

// FirstJudged returns when an image was first judged; the zero time when it never was or is not there.
func (r *Reader) FirstJudged(ctx context.Context, imageID int64) (time.Time, error) {
	found, err := rows[int64](ctx, r, "select first_judged from images where id = ?", imageID)
	if err != nil || len(found) == 0 {
		return time.Time{}, fail(err, "image %d", imageID)
	}
	return timeOf(found[0]), nil
}

// NewVerdict is what policy now makes of an image.
type NewVerdict struct {
	ImageID   int64
	Judgement *tidewaiter.Judgement // with the verdict and risk factors to store; the rest as it was read
	Change    *tidewaiter.ImageChange
}

type verdictRow struct {
	ID        int64  `json:"id"`
	JudgedAt  int64  `json:"judged_at"`
	Verdict   string `json:"verdict"`
	Alerts    int64  `json:"alerts"`
	Blocks    int64  `json:"blocks"`
	Judgement string `json:"judgement"`
}

// SaveVerdicts stores the verdicts and risk factors of images, any number at once, and returns how many were stored. An
// image that was judged again since it was read keeps the verdict of that; what changed for the others is kept.
func (tx *Tx) SaveVerdicts(ctx context.Context, verdicts []NewVerdict, now time.Time) (stored int, err error) {
	list := make([]verdictRow, len(verdicts))
	changes := make(map[int64]*tidewaiter.ImageChange, len(verdicts))
	for i, v := range verdicts {
		row, err := judgementRowOf(v.Judgement)
		if err != nil {
			return 0, err
		}
		list[i] = verdictRow{ID: v.ImageID, JudgedAt: row.JudgedAt, Verdict: row.Verdict, Alerts: row.Alerts, Blocks: row.Blocks, Judgement: row.Judgement}
		changes[v.ImageID] = v.Change
	}
	query := `update images set verdict = j.value ->> '$.verdict', alerts = j.value ->> '$.alerts', blocks = j.value ->> '$.blocks',
			judgement = j.value ->> '$.judgement', updated_at = ?
		from json_each(?) as j where images.id = j.value ->> '$.id' and images.judged_at = j.value ->> '$.judged_at'
			and images.judgement <> j.value ->> '$.judgement' returning images.id`
	if tx.dialect == Postgres {
		query = `update images set verdict = j.verdict, alerts = j.alerts, blocks = j.blocks, judgement = j.judgement, updated_at = ?
			from jsonb_to_recordset(?::jsonb) as j (id bigint, judged_at bigint, verdict text, alerts bigint, blocks bigint, judgement text)
			where images.id = j.id and images.judged_at = j.judged_at and images.judgement <> j.judgement returning images.id`
	}
	var ids []int64
	err = inChunks(list, func(part []verdictRow) error {
		if len(part) == 0 {
			return nil
		}
		doc, err := json.Marshal(part)
		if err != nil {
			return err
		}
		found, err := rows[int64](ctx, tx.Reader, query, micros(now), string(doc))
		ids = append(ids, found...)
		return err
	})
	if err == nil {
		err = tx.insertChanges(ctx, changesOf(ids, changes))
	}
	return len(ids), fail(err, "store verdicts")
}

// DatedFinding is a finding and when it was first made.
type DatedFinding struct {
	tidewaiter.Finding
	FoundAt time.Time
}

// DatedFindings returns the findings of packages by package, each list by vulnerability.
func (r *Reader) DatedFindings(ctx context.Context, packageIDs []int64) (map[int64][]DatedFinding, error) {
	out := make(map[int64][]DatedFinding, len(packageIDs))
	err := r.eachFinding(ctx, packageIDs, func(row *findingRow) {
		out[row.PackageID] = append(out[row.PackageID], DatedFinding{row.finding(), timeOf(row.FoundAt)})
	})
	return out, err
}
