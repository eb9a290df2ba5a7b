package store

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Happening is one thing that has happened, by what it happened to. Package notify makes deliveries of it.
type Happening struct {
	ID       int64
	Topic    tidewaiter.Topic
	At       time.Time
	ScanID   string    // of topics about scans and registries
	Since    time.Time // of topics about registries: when it began to fail
	ChangeID int64     // of topics about images
}

type happeningRow struct {
	bun.BaseModel `bun:"table:happenings,alias:n"`

	ID       int64 `bun:",pk,nullzero"`
	Topic    string
	At       int64
	ScanID   string
	Since    int64
	ChangeID int64
}

// wanted ends an insert of happenings: without a webhook that asks for the topic there is nobody to tell.
const wanted = " exists (select 1 from webhooks where not disabled and topics like ?)"

func wantedTopic(t tidewaiter.Topic) string { return "% " + string(t) + " %" }

// tellScanEnded notes, in the transaction in which a scan ends, that it has ended, and whether its registry thereby began or
// ceased to fail.
func (tx *Tx) tellScanEnded(ctx context.Context, scanID string, now time.Time) error {
	if err := tx.noteScan(ctx, tidewaiter.TopicScanFinished, scanID, 0, micros(now)); err != nil {
		return err
	}
	const whole = " from scans where id = ? and target = '' and not partial"
	began, err := tx.exec(ctx, `insert into failing_registries (registry_id, scan_id, since) select registry_id, id, ?`+whole+
		` and state = 'failed' on conflict (registry_id) do nothing`, micros(now), scanID)
	if err == nil && began > 0 {
		return tx.noteScan(ctx, tidewaiter.TopicRegistryFailing, scanID, micros(now), micros(now))
	}
	if err != nil {
		return err
	}
	since, err := rows[int64](ctx, tx.Reader, `delete from failing_registries where registry_id = (select registry_id`+whole+
		` and state = 'completed') returning since`, scanID)
	if err == nil && len(since) > 0 {
		return tx.noteScan(ctx, tidewaiter.TopicRegistryRecovered, scanID, since[0], micros(now))
	}
	return err
}

func (tx *Tx) noteScan(ctx context.Context, topic tidewaiter.Topic, scanID string, since, now int64) error {
	_, err := tx.exec(ctx, "insert into happenings (topic, at, scan_id, since) select ?, ?, ?, ? where"+wanted,
		string(topic), now, scanID, since, wantedTopic(topic))
	return err
}

// AnyHappenings reports whether something has happened that nobody has been told of.
func (r *Reader) AnyHappenings(ctx context.Context) (bool, error) {
	there, err := scalar[bool](ctx, r, "select exists (select 1 from happenings)")
	return there, fail(err, "look for happenings")
}

// LockHappenings keeps other transactions from making deliveries until this one ends: they are made in the order in which
// things happened.
func (tx *Tx) LockHappenings(ctx context.Context) error {
	if tx.dialect == SQLite {
		return nil // there is one writer anyway
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("tidewaiter happenings"))
	_, err := tx.exec(ctx, "select pg_advisory_xact_lock(?)", int64(h.Sum64())) // any number will do
	return fail(err, "lock the happenings")
}

// TakeHappenings removes and returns the oldest happenings, in order, at most limit. Call it under LockHappenings.
func (tx *Tx) TakeHappenings(ctx context.Context, limit int) ([]Happening, error) {
	found, err := rows[happeningRow](ctx, tx.Reader, "select * from happenings order by id limit ?", limit)
	if err != nil || len(found) == 0 {
		return nil, fail(err, "read happenings")
	}
	out, ids := make([]Happening, len(found)), make([]int64, len(found))
	for i, n := range found {
		ids[i] = n.ID
		out[i] = Happening{ID: n.ID, Topic: tidewaiter.Topic(n.Topic), At: timeOf(n.At), ScanID: n.ScanID, Since: timeOf(n.Since), ChangeID: n.ChangeID}
	}
	return out, fail(inChunks(ids, func(part []int64) error {
		_, err := tx.exec(ctx, "delete from happenings where id in (?)", bun.List(part))
		return err
	}), "take happenings")
}
