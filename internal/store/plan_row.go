package store

import (
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type planRow struct {
	bun.BaseModel `bun:"table:plans,alias:p"`

	ID            string `bun:",pk"`
	RegistryID    string
	Name          string
	Every         int64
	Weekday       int64
	At            string
	Scope         string
	Force         bool
	Canceled      bool
	FromAt        int64
	NextAt        int64
	LastStartedAt int64
	LastScanID    string
	CreatedAt     int64
	UpdatedAt     int64
}

// anyWeekday stands for a schedule without a weekday.
const anyWeekday = -1

func planRowOf(p *tidewaiter.Plan) (planRow, error) {
	row := planRow{
		ID: p.ID, RegistryID: p.RegistryID, Name: text(p.Name), Every: int64(p.Schedule.Every / time.Second), Weekday: anyWeekday,
		At: text(p.Schedule.At), Force: p.Force, Canceled: p.Canceled, FromAt: micros(p.From), NextAt: micros(p.NextAt),
		LastStartedAt: micros(p.LastStartedAt), LastScanID: p.LastScanID, CreatedAt: micros(p.CreatedAt), UpdatedAt: micros(p.UpdatedAt),
	}
	if p.Schedule.Weekday != nil {
		row.Weekday = int64(*p.Schedule.Weekday)
	}
	var err error
	row.Scope, err = jsonText(p.Scope)
	return row, err
}

func (row *planRow) plan() (*tidewaiter.Plan, error) {
	p := &tidewaiter.Plan{
		ID: row.ID, RegistryID: row.RegistryID, Name: row.Name, Force: row.Force, Canceled: row.Canceled,
		Schedule: tidewaiter.Schedule{Every: time.Duration(row.Every) * time.Second, At: row.At},
		From:     timeOf(row.FromAt), NextAt: timeOf(row.NextAt), LastStartedAt: timeOf(row.LastStartedAt),
		LastScanID: row.LastScanID, CreatedAt: timeOf(row.CreatedAt), UpdatedAt: timeOf(row.UpdatedAt),
	}
	if row.Weekday != anyWeekday {
		weekday := time.Weekday(row.Weekday)
		p.Schedule.Weekday = &weekday
	}
	return p, fromText(row.Scope, &p.Scope)
}

func plansOf(rows []planRow) ([]*tidewaiter.Plan, error) {
	out := make([]*tidewaiter.Plan, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].plan(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
