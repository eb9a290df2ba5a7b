package client

import (
	"context"
	"net/http"
)

// HarborScanner is where a Harbor can be told to find a scanner.
type HarborScanner struct {
	Path string `json:"path"` // below the server's address; secret
	Key  bool   `json:"key"`  // one is set, and has to be shown
}

// HarborKey sets what Harbor has to show beside knowing the path.
type HarborKey struct {
	Key string `json:"key" maxLength:"1024" doc:"Shown as the password of Basic, as a Bearer token or as an API key; empty asks for nothing."`
}

// HarborScanner returns where a Harbor can be told to find a scanner.
func (c *Client) HarborScanner(ctx context.Context) (*HarborScanner, error) {
	var out HarborScanner
	return &out, c.do(ctx, http.MethodGet, "/harbor-scanner", nil, nil, &out)
}

// PutHarborKey sets what Harbor has to show.
func (c *Client) PutHarborKey(ctx context.Context, key string) (*HarborScanner, error) {
	var out HarborScanner
	return &out, c.do(ctx, http.MethodPut, "/harbor-scanner", nil, HarborKey{key}, &out)
}
