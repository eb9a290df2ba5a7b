package client

import (
	"context"
	"net/http"
	"time"
)

// Status is what runs on the other side.
type Status struct {
	Version    string          `json:"version"`
	Advisories AdvisoriesState `json:"advisories"`
}

// AdvisoriesState says by which advisories images are judged. Version is empty while there are none.
type AdvisoriesState struct {
	Version   string    `json:"version,omitempty"`
	Reference string    `json:"reference,omitempty"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	FetchedAt time.Time `json:"fetchedAt,omitzero"`
	CheckedAt time.Time `json:"checkedAt,omitzero"`
	Error     string    `json:"error,omitempty"` // of the last attempt to fetch
}

// Status asks what runs on the other side.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var out Status
	return &out, c.do(ctx, http.MethodGet, "/status", nil, nil, &out)
}
