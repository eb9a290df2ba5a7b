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
	Feeds      []FeedState     `json:"feeds"` // what is known of attacks comes from them
	Database   DatabaseState   `json:"database"`
	Retention  Retention       `json:"retention"`
}

// Retention is how many days what is over is kept.
type Retention struct {
	Gone           int `json:"gone"`           // tags that are gone from their registries, with whatever only they led to
	History        int `json:"history"`        // scans that are over, moves of tags, the audit log
	Changes        int `json:"changes"`        // what changed for images
	Events         int `json:"events"`         // events of registries
	Deliveries     int `json:"deliveries"`     // deliveries of webhooks that arrived
	DeadDeliveries int `json:"deadDeliveries"` // and those that were given up
}

// FeedState is the version of a feed in use.
type FeedState struct {
	Kind      string    `json:"kind"` // epss, kev
	Release   string    `json:"release,omitempty"`
	Date      time.Time `json:"date"` // when its makers made it
	Entries   int       `json:"entries"`
	Source    string    `json:"source,omitempty"`
	FetchedAt time.Time `json:"fetchedAt,omitzero"`
}

// DatabaseState is how much there is and what it takes.
type DatabaseState struct {
	Kind  string `json:"kind"`  // sqlite, postgres
	Bytes int64  `json:"bytes"` // on disk, indexes included
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
