package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// JudgedByOthers returns images that other advisories judged, in ascending order of their ids after the one given, at most
// limit.
func (r *Reader) JudgedByOthers(ctx context.Context, advisories string, after int64, limit int) ([]JudgedImage, error) {
	out, err := r.judgedImages(ctx, after, limit, " and i.advisories <> ?", advisories)
	return out, fail(err, "read judged images")
}

// Rejudged is what other advisories make of an image whose content is the same.
type Rejudged struct {
	ImageID   int64
	JudgedAt  time.Time             // when the judgement was made that this one replaces
	Judgement *tidewaiter.Judgement // nil when nothing changed but the version of the advisories
	Change    *tidewaiter.ImageChange
}

type rejudgedRow struct {
	ID             int64  `json:"id"`
	Before         int64  `json:"before"`
	EndOfLife      int64  `json:"end_of_life"`
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
			ID: r.ImageID, Before: micros(r.JudgedAt), VulnCritical: row.VulnCritical, VulnHigh: row.VulnHigh, VulnMedium: row.VulnMedium,
			VulnLow: row.VulnLow, VulnNegligible: row.VulnNegligible, VulnUnknown: row.VulnUnknown, Fixable: row.Fixable, VulnRisk: row.VulnRisk,
			Worst: row.Worst, Verdict: row.Verdict, Alerts: row.Alerts, Blocks: row.Blocks, Judgement: row.Judgement,
		}
		if row.EndOfLife {
			out.EndOfLife = 1
		}
		changed = append(changed, out)
	}
	err := inChunks(same, func(part []int64) error {
		_, err := tx.exec(ctx, `update images set advisories = ?, judged_at = ?, updated_at = ?, findings_seen = ? where id in (?)
			and findings_seen <= ?`, advisories, micros(now), micros(now), findings, bun.List(part), findings)
		return err
	})
	var stored []int64
	if err == nil {
		err = inChunks(changed, func(part []rejudgedRow) error {
			ids, err := tx.saveRejudged(ctx, advisories, findings, part, micros(now))
			stored = append(stored, ids...)
			return err
		})
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

func (tx *Tx) saveRejudged(ctx context.Context, advisories string, findings int64, part []rejudgedRow, now int64) (stored []int64, err error) {
	doc, err := json.Marshal(part)
	if err != nil {
		return nil, err
	}
	set, from := "", "json_each(?) as j"
	value := func(column string) string { return "j.value ->> '$." + column + "'" }
	if tx.dialect == Postgres {
		from = `jsonb_to_recordset(?::jsonb) as j (id bigint, before bigint, end_of_life bigint, vuln_critical bigint, vuln_high bigint,
			vuln_medium bigint, vuln_low bigint, vuln_negligible bigint, vuln_unknown bigint, fixable bigint, vuln_risk bigint,
			worst bigint, verdict text, alerts bigint, blocks bigint, judgement text)`
		value = func(column string) string { return "j." + column }
	}
	for _, column := range []string{"vuln_critical", "vuln_high", "vuln_medium", "vuln_low", "vuln_negligible", "vuln_unknown",
		"fixable", "vuln_risk", "worst", "verdict", "alerts", "blocks", "judgement"} {
		set += ", " + column + " = " + value(column)
	}
	return rows[int64](ctx, tx.Reader, "update images set advisories = ?, judged_at = ?, updated_at = ?, findings_seen = ?, end_of_life = ("+
		value("end_of_life")+" = 1)"+set+" from "+from+" where images.id = "+value("id")+" and images.judged_at = "+value("before")+
		" and images.findings_seen <= ? returning images.id", advisories, now, now, findings, string(doc), findings)
}
