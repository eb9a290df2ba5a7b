package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type opinionRow struct {
	bun.BaseModel `bun:"table:opinions,alias:o"`

	ImageID    int64  `bun:",pk"`
	ScannerID  string `bun:",pk"`
	Scanner    string `bun:",scanonly"`
	RegistryID string `bun:",nullzero"`
	State      string
	Scan       string
	ReportType string
	JobID      int64
	Faults     int64
	AskedAt    int64
	TriedAt    int64
	NextAt     int64
	ErrorKind  string
	Error      string
	Attempts   int64
	RetryAt    int64
	ReadAt     int64
	Report     string
}

// opinionColumns is everything but the findings, which are large.
const opinionColumns = `o.image_id, o.scanner_id, o.registry_id, o.state, o.scan, o.report_type, o.job_id, o.faults, o.asked_at,
	o.tried_at, o.next_at, o.error_kind, o.error, o.attempts, o.retry_at, o.read_at, o.report`

func (row *opinionRow) opinion() (tidewaiter.Opinion, error) {
	o := tidewaiter.Opinion{
		ImageID: row.ImageID, ScannerID: row.ScannerID, Scanner: row.Scanner, State: tidewaiter.OpinionState(row.State),
		RegistryID: row.RegistryID, Scan: row.Scan, ReportType: row.ReportType, JobID: row.JobID, Faults: int(row.Faults),
		AskedAt: timeOf(row.AskedAt), TriedAt: timeOf(row.TriedAt), ErrorKind: tidewaiter.ErrorKind(row.ErrorKind), Error: row.Error,
		Attempts: int(row.Attempts), RetryAt: timeOf(row.RetryAt), NextAt: timeOf(row.NextAt),
	}
	return o, fromText(row.Report, &o.Report)
}

// OpinionsOf returns the opinions on an image by the scanners' names.
func (r *Reader) OpinionsOf(ctx context.Context, imageID int64) ([]tidewaiter.Opinion, error) {
	found, err := rows[opinionRow](ctx, r, "select "+opinionColumns+`, s.name as scanner from opinions o join scanners s on s.id = o.scanner_id
		where o.image_id = ? order by s.name`, imageID)
	if err != nil {
		return nil, fail(err, "opinions on image %d", imageID)
	}
	out := make([]tidewaiter.Opinion, len(found))
	for i := range found {
		if out[i], err = found[i].opinion(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// LockOpinion returns a scanner's opinion on an image, nil when there is none, and keeps others from changing it until the
// transaction ends.
func (tx *Tx) LockOpinion(ctx context.Context, imageID int64, scannerID string) (*tidewaiter.Opinion, error) {
	found, err := rows[opinionRow](ctx, tx.Reader, "select "+opinionColumns+" from opinions o where o.image_id = ? and o.scanner_id = ?"+tx.forUpdate(),
		imageID, scannerID)
	if err != nil || len(found) == 0 {
		return nil, fail(err, "opinion on image %d", imageID)
	}
	o, err := found[0].opinion()
	return &o, err
}

// SaveOpinion stores a known opinion but for its findings. One that was removed meanwhile stays so.
func (tx *Tx) SaveOpinion(ctx context.Context, o *tidewaiter.Opinion) error {
	report, err := jsonText(&o.Report)
	if err != nil {
		return err
	}
	row := opinionRow{
		ImageID: o.ImageID, ScannerID: o.ScannerID, RegistryID: o.RegistryID, State: string(o.State), Scan: text(o.Scan),
		ReportType: text(o.ReportType), JobID: o.JobID, Faults: int64(o.Faults), AskedAt: micros(o.AskedAt), TriedAt: micros(o.TriedAt),
		NextAt: micros(o.NextAt), ErrorKind: string(o.ErrorKind), Error: text(o.Error), Attempts: int64(o.Attempts),
		RetryAt: micros(o.RetryAt), ReadAt: micros(o.Report.ReadAt), Report: text(report),
	}
	_, err = tx.update(&row).WherePK().Exec(ctx)
	return fail(err, "store the opinion on image %d", o.ImageID)
}

// SaveOpinionFindings replaces what a scanner found on an image.
func (tx *Tx) SaveOpinionFindings(ctx context.Context, imageID int64, scannerID string, found []tidewaiter.OpinionFinding) error {
	doc, err := tx.codec.packJSON(found)
	if err == nil {
		_, err = tx.exec(ctx, "update opinions set findings = ? where image_id = ? and scanner_id = ?", doc, imageID, scannerID)
	}
	return fail(err, "store what was found on image %d", imageID)
}

// OpinionFindings returns what a scanner found on an image, the worst first.
func (r *Reader) OpinionFindings(ctx context.Context, imageID int64, scannerID string) ([]tidewaiter.OpinionFinding, error) {
	docs, err := rows[[]byte](ctx, r, "select findings from opinions where image_id = ? and scanner_id = ? and findings is not null", imageID, scannerID)
	if err != nil || len(docs) == 0 {
		return nil, fail(err, "what was found on image %d", imageID)
	}
	var out []tidewaiter.OpinionFinding
	return out, r.codec.unpackJSON(docs[0], &out)
}
