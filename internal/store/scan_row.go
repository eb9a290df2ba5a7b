package store

import (
	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type scanRow struct {
	bun.BaseModel `bun:"table:scans,alias:s"`

	ID                 string `bun:",pk"`
	RegistryID         string
	State              string
	Lane               string
	OnDemand           bool
	Force              bool
	Scope              string
	Target             string
	Partial            bool
	Hidden             bool
	Name               string
	ScheduleID         string
	Repositories       int64
	RepositoriesListed int64
	TagsSeen           int64
	TagsSelected       int64
	ImagesTotal        int64
	ImagesDone         int64
	ImagesFailed       int64
	Errors             string
	Error              string
	Complete           bool
	CreatedAt          int64
	StartedAt          int64
	ListedAt           int64
	EndedAt            int64
	UpdatedAt          int64
}

func scanRowOf(s *tidewaiter.Scan) (scanRow, error) {
	row := scanRow{
		ID: s.ID, RegistryID: s.RegistryID, State: string(s.State), Lane: string(s.Lane), OnDemand: s.OnDemand, Force: s.Force,
		Partial: s.Partial, Name: text(s.Name), ScheduleID: text(s.ScheduleID),
		Repositories: int64(s.Repositories), RepositoriesListed: int64(s.RepositoriesListed),
		TagsSeen: int64(s.TagsSeen), TagsSelected: int64(s.TagsSelected),
		ImagesTotal: int64(s.ImagesTotal), ImagesDone: int64(s.ImagesDone), ImagesFailed: int64(s.ImagesFailed),
		Error: text(s.Error), Complete: s.Complete, CreatedAt: micros(s.CreatedAt), StartedAt: micros(s.StartedAt),
		ListedAt: micros(s.ListedAt), EndedAt: micros(s.EndedAt), UpdatedAt: micros(s.UpdatedAt),
	}
	var err error
	if row.Scope, err = jsonText(s.Scope); err != nil {
		return row, err
	}
	if row.Errors, err = jsonText(s.Errors); err != nil {
		return row, err
	}
	if s.Target != nil {
		row.Target, err = jsonText(s.Target)
	}
	return row, err
}

func (row *scanRow) scan() (*tidewaiter.Scan, error) {
	s := &tidewaiter.Scan{
		ID: row.ID, RegistryID: row.RegistryID, State: tidewaiter.ScanState(row.State), Lane: tidewaiter.Lane(row.Lane),
		OnDemand: row.OnDemand, Force: row.Force, Partial: row.Partial, Name: row.Name, ScheduleID: row.ScheduleID,
		Repositories: int(row.Repositories), RepositoriesListed: int(row.RepositoriesListed),
		TagsSeen: int(row.TagsSeen), TagsSelected: int(row.TagsSelected),
		ImagesTotal: int(row.ImagesTotal), ImagesDone: int(row.ImagesDone), ImagesFailed: int(row.ImagesFailed),
		Error: row.Error, Complete: row.Complete, CreatedAt: timeOf(row.CreatedAt), StartedAt: timeOf(row.StartedAt),
		ListedAt: timeOf(row.ListedAt), EndedAt: timeOf(row.EndedAt), UpdatedAt: timeOf(row.UpdatedAt),
	}
	if err := fromText(row.Scope, &s.Scope); err != nil {
		return nil, err
	}
	if err := fromText(row.Errors, &s.Errors); err != nil {
		return nil, err
	}
	if row.Target != "" {
		s.Target = new(tidewaiter.Target)
	}
	return s, fromText(row.Target, s.Target)
}

func scansOf(rows []scanRow) ([]*tidewaiter.Scan, error) {
	out := make([]*tidewaiter.Scan, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].scan(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
