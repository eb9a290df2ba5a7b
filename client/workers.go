package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Worker is a process that works on jobs.
type Worker struct {
	ID         string         `json:"id"`   // of one start of one process
	Name       string         `json:"name"` // of its machine
	Alive      bool           `json:"alive"`
	Heartbeat  time.Time      `json:"heartbeat"`
	StartedAt  time.Time      `json:"startedAt"`
	Version    string         `json:"version"`
	Labels     []string       `json:"labels"`
	Lanes      map[string]int `json:"lanes"`   // how many jobs of each it runs at once
	Running    int            `json:"running"` // jobs, at the time of the heartbeat
	Advisories string         `json:"advisories,omitempty"`
}

// Workers lists the processes that work on jobs.
func (c *Client) Workers(ctx context.Context) (*Page[Worker], error) {
	var out Page[Worker]
	return &out, c.do(ctx, http.MethodGet, "/workers", nil, nil, &out)
}

// Lane is what jobs wait in.
type Lane struct {
	Name    string    `json:"name"`
	Paused  bool      `json:"paused"`
	Waiting int       `json:"waiting"` // jobs that could run now
	Later   int       `json:"later"`   // jobs that have a time to wait for
	Running int       `json:"running"`
	Oldest  time.Time `json:"oldest,omitzero"` // since when the first in line could have been running
}

// Lanes lists the lanes, the most urgent first.
func (c *Client) Lanes(ctx context.Context) (*Page[Lane], error) {
	var out Page[Lane]
	return &out, c.do(ctx, http.MethodGet, "/lanes", nil, nil, &out)
}

// PauseLane has no other job of a lane begun until ResumeLane.
func (c *Client) PauseLane(ctx context.Context, lane string) error {
	return c.do(ctx, http.MethodPost, "/lanes/"+url.PathEscape(lane)+"/pause", nil, nil, nil)
}

// ResumeLane undoes PauseLane.
func (c *Client) ResumeLane(ctx context.Context, lane string) error {
	return c.do(ctx, http.MethodPost, "/lanes/"+url.PathEscape(lane)+"/resume", nil, nil, nil)
}

// LaneCanceled is how many scans CancelLane ended.
type LaneCanceled struct {
	Scans int `json:"scans"`
}

// CancelLane ends the scans that are on their way in a lane.
func (c *Client) CancelLane(ctx context.Context, lane string) (*LaneCanceled, error) {
	var out LaneCanceled
	return &out, c.do(ctx, http.MethodPost, "/lanes/"+url.PathEscape(lane)+"/cancel", nil, nil, &out)
}

// PauseRegistry has nothing begun that talks to a registry until ResumeRegistry.
func (c *Client) PauseRegistry(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, "/registries/"+url.PathEscape(id)+"/pause", nil, nil, nil)
}

// ResumeRegistry undoes PauseRegistry.
func (c *Client) ResumeRegistry(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, "/registries/"+url.PathEscape(id)+"/resume", nil, nil, nil)
}
