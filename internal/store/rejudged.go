package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Rejudged is what other advisories make of an image whose content is the same.
type Rejudged struct {
	ImageID   int64
	JudgedAt  time.Time             // when the judgement was made that this one replaces
	Judgement *tidewaiter.Judgement // nil when nothing changed but the version of the advisories
	Change    *tidewaiter.ImageChange
}

// rejudgedRow is what is written of an image. The names are those of the columns, but for Before, the time of the judgement it replaces.
type rejudgedRow struct {
	ID             int64  `json:"id"`
	Before         int64  `json:"before"`
	EndOfLife      bool   `json:"end_of_life"`
	VulnCritical   int64  `json:"vuln_critical"`
	VulnHigh       int64  `json:"vuln_high"`
	VulnMedium     int64  `json:"vuln_medium"`
	VulnLow        int64  `json:"vuln_low"`
	VulnNegligible int64  `json:"vuln_negligible"`
	VulnUnknown    int64  `json:"vuln_unknown"`
	Fixable        int64  `json:"fixable"`
	VulnRisk       int64  `json:"vuln_risk"`
	Worst          int64  `json:"worst"`
	Verdict        string `json:"verdict"`
	Alerts         int64  `json:"alerts"`
	Blocks         int64  `json:"blocks"`
	Judgement      string `json:"judgement"`
}

// SaveRejudged stores what a version of the advisories makes of images, any number at once, by findings read at a generation.
// An image that was judged again since it was read keeps the judgement of that; what changed for the others is kept.
func (tx *Tx) SaveRejudged(ctx context.Context, advisories string, findings int64, list []Rejudged, now time.Time) error {
	var same []int64
	var changed []rejudgedRow
	changes := map[int64]*tidewaiter.ImageChange{}
	for _, r := range list {
		if r.Change != nil && r.Judgement != nil {
			changes[r.ImageID] = r.Change
		}
		if r.Judgement == nil {
			same = append(same, r.ImageID)
			continue
		}
		row, err := judgementRowOf(r.Judgement)
		if err != nil {
			return err
		}
		out := rejudgedRow{
			ID: r.ImageID, Before: micros(r.JudgedAt), EndOfLife: row.EndOfLife, VulnCritical: row.VulnCritical, VulnHigh: row.VulnHigh, VulnMedium: row.VulnMedium,
			VulnLow: row.VulnLow, VulnNegligible: row.VulnNegligible, VulnUnknown: row.VulnUnknown, Fixable: row.Fixable, VulnRisk: row.VulnRisk,
			Worst: row.Worst, Verdict: row.Verdict, Alerts: row.Alerts, Blocks: row.Blocks, Judgement: row.Judgement,
		}
		changed = append(changed, out)
	}
	err := tx.MarkJudged(ctx, advisories, findings, same, now)
	var stored []int64
	if err == nil {
		save := tx.rejudgedOneByOne
		if tx.dialect == Postgres {
			save = tx.rejudgedTogether
		}
		stored, err = save(ctx, advisories, findings, changed, micros(now))
	}
	if err == nil {
		err = tx.insertChanges(ctx, changesOf(stored, changes))
	}
	return fail(err, "store judgements")
}

// changesOf picks the changes of images whose rows were written, in the order of ids.
func changesOf(stored []int64, changes map[int64]*tidewaiter.ImageChange) (out []*tidewaiter.ImageChange) {
	for _, id := range distinct(stored) {
		if c := changes[id]; c != nil {
			out = append(out, c)
		}
	}
	return out
}

// rejudgedOneByOne runs a prepared statement for each image: on SQLite, where a statement is a call, that takes a third of the time
// of one that reads all of them from a document.
func (tx *Tx) rejudgedOneByOne(ctx context.Context, advisories string, findings int64, list []rejudgedRow, now int64) (stored []int64, err error) {
	update, err := tx.sqlTx.PrepareContext(ctx, `update images set advisories = ?, judged_at = ?, updated_at = ?, findings_seen = ?,
		end_of_life = ?, vuln_critical = ?, vuln_high = ?, vuln_medium = ?, vuln_low = ?, vuln_negligible = ?, vuln_unknown = ?,
		fixable = ?, vuln_risk = ?, worst = ?, verdict = ?, alerts = ?, blocks = ?, judgement = ?
		where id = ? and judged_at = ? and findings_seen <= ?`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, update.Close()) }()
	for i := range list {
		r := &list[i]
		res, err := update.ExecContext(ctx, text(advisories), now, now, findings,
			r.EndOfLife, r.VulnCritical, r.VulnHigh, r.VulnMedium, r.VulnLow, r.VulnNegligible, r.VulnUnknown,
			r.Fixable, r.VulnRisk, r.Worst, r.Verdict, r.Alerts, r.Blocks, text(r.Judgement), r.ID, r.Before, findings)
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil {
			return nil, err
		} else if n > 0 {
			stored = append(stored, r.ID)
		}
	}
	return stored, nil
}

// rejudgedTogether writes all images of a chunk in one statement: a round trip costs more than reading the document.
func (tx *Tx) rejudgedTogether(ctx context.Context, advisories string, findings int64, list []rejudgedRow, now int64) (stored []int64, err error) {
	err = inChunks(list, func(part []rejudgedRow) error {
		doc, err := json.Marshal(part)
		if err != nil {
			return err
		}
		ids, err := rows[int64](ctx, tx.Reader, `update images set advisories = ?, judged_at = ?, updated_at = ?, findings_seen = ?,
			end_of_life = j.end_of_life, vuln_critical = j.vuln_critical, vuln_high = j.vuln_high, vuln_medium = j.vuln_medium,
			vuln_low = j.vuln_low, vuln_negligible = j.vuln_negligible, vuln_unknown = j.vuln_unknown, fixable = j.fixable,
			vuln_risk = j.vuln_risk, worst = j.worst, verdict = j.verdict, alerts = j.alerts, blocks = j.blocks, judgement = j.judgement
			from jsonb_to_recordset(?::jsonb) as j (id bigint, before bigint, end_of_life boolean, vuln_critical bigint,
			vuln_high bigint, vuln_medium bigint, vuln_low bigint, vuln_negligible bigint, vuln_unknown bigint, fixable bigint,
			vuln_risk bigint, worst bigint, verdict text, alerts bigint, blocks bigint, judgement text)
			where images.id = j.id and images.judged_at = j.before and images.findings_seen <= ? returning images.id`,
			advisories, now, now, findings, string(doc), findings)
		stored = append(stored, ids...)
		return err
	})
	return stored, err
}
