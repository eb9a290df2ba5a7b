package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// AuditEntry is one thing somebody did. It never holds a secret.
type AuditEntry struct {
	ID      int64 // set when it is stored
	At      time.Time
	Actor   string // who
	Action  string // did what
	Subject string // to what
	Detail  string
}

type auditRow struct {
	bun.BaseModel `bun:"table:audit,alias:a"`

	ID      int64 `bun:",pk,nullzero"`
	At      int64
	Actor   string
	Action  string
	Subject string
	Detail  string
}

// Audit stores an entry.
func (tx *Tx) Audit(ctx context.Context, e AuditEntry) error {
	row := auditRow{At: micros(e.At), Actor: text(e.Actor), Action: text(e.Action), Subject: text(e.Subject), Detail: text(e.Detail)}
	_, err := tx.insert(&row).Returning("NULL").Exec(ctx)
	return fail(err, "store an audit entry")
}

// Audits returns a page of the audit entries, newest first, and the cursor of the next page.
func (r *Reader) Audits(ctx context.Context, p Page) ([]AuditEntry, string, error) {
	after, err := cursorOf(p, "audit")
	if err != nil {
		return nil, "", err
	}
	var found []auditRow
	q := r.selectFrom(&found)
	if after != nil {
		q = q.Where("a.id < ?", after.ID)
	}
	if err := q.OrderExpr("a.id desc").Apply(p.window).Scan(ctx); err != nil {
		return nil, "", fail(err, "list audit entries")
	}
	found, next := cut(found, p, func(row auditRow) cursor { return cursor{Order: "audit", ID: row.ID} })
	out := make([]AuditEntry, len(found))
	for i, row := range found {
		out[i] = AuditEntry{ID: row.ID, At: timeOf(row.At), Actor: row.Actor, Action: row.Action, Subject: row.Subject, Detail: row.Detail}
	}
	return out, next, nil
}
