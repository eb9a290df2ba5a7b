package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type registryRow struct {
	bun.BaseModel `bun:"table:registries,alias:r"`

	ID              string `bun:",pk"`
	Name            string
	Kind            string
	URL             string `bun:"url"`
	Host            string
	Origin          string
	Position        int64
	CredentialID    string
	TLS             string `bun:"tls"`
	Scope           string
	Schedule        string
	Scheduled       bool
	Parallel        int64
	Settings        string
	Labels          string
	PausedAt        int64
	Declaration     string
	DeclarationHash string
	CreatedAt       int64
	UpdatedAt       int64
}

func registryRowOf(r *tidewaiter.Registry) (registryRow, error) {
	row := registryRow{
		ID: r.ID, Name: text(r.Name), Kind: string(r.Kind), URL: text(r.URL), Host: text(r.Host()), Origin: string(r.Origin),
		Position: int64(r.Position), CredentialID: text(r.CredentialID), Scheduled: r.Schedule.Every > 0,
		Parallel: int64(r.Parallel), Declaration: text(string(r.Declaration)),
		Labels: LabelsText(r.Labels), PausedAt: micros(r.PausedAt), CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt),
	}
	if len(r.Declaration) > 0 {
		h := sha256.Sum256(r.Declaration)
		row.DeclarationHash = hex.EncodeToString(h[:])
	}
	var err error
	for _, part := range []struct {
		to   *string
		from any
	}{{&row.TLS, r.TLS}, {&row.Scope, r.Scope}, {&row.Schedule, r.Schedule}, {&row.Settings, r.Settings}} {
		if *part.to, err = jsonText(part.from); err != nil {
			return registryRow{}, err
		}
	}
	return row, nil
}

func (row *registryRow) registry() (*tidewaiter.Registry, error) {
	r := &tidewaiter.Registry{
		ID: row.ID, Name: row.Name, Kind: tidewaiter.RegistryKind(row.Kind), URL: row.URL, Origin: tidewaiter.Origin(row.Origin),
		Position: int(row.Position), CredentialID: row.CredentialID, Parallel: int(row.Parallel),
		PausedAt: timeOf(row.PausedAt), CreatedAt: timeOf(row.CreatedAt), UpdatedAt: timeOf(row.UpdatedAt),
	}
	var err error
	if r.Labels, err = LabelsOf(row.Labels); err != nil {
		return nil, err
	}
	if row.Declaration != "" {
		r.Declaration = json.RawMessage(row.Declaration)
	}
	for _, part := range []struct {
		from string
		to   any
	}{{row.TLS, &r.TLS}, {row.Scope, &r.Scope}, {row.Schedule, &r.Schedule}, {row.Settings, &r.Settings}} {
		if err := fromText(part.from, part.to); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func registryRows(registries []*tidewaiter.Registry) ([]registryRow, error) {
	rows := make([]registryRow, len(registries))
	for i, r := range registries {
		var err error
		if rows[i], err = registryRowOf(r); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func registriesOf(rows []registryRow) ([]*tidewaiter.Registry, error) {
	out := make([]*tidewaiter.Registry, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].registry(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
