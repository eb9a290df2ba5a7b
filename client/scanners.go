package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Scanner is a scanner elsewhere that is asked for a second opinion on images: an adapter that speaks Harbor's pluggable scanner API.
type Scanner struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	Address       string     `json:"address"` // scheme and host of the URL; the rest may be a secret and is not shown
	Login         string     `json:"login"`   // none, basic, bearer, apikey
	Username      string     `json:"username,omitempty"`
	Lend          string     `json:"lend"` // auto, token, credential: what it is given to pull images with
	TLS           ScannerTLS `json:"tls"`
	Disabled      bool       `json:"disabled"`
	AllRegistries bool       `json:"allRegistries"`
	Registries    []string   `json:"registries,omitempty"` // ids of those whose images it is asked about
	MaxAge        string     `json:"maxAge"`               // an opinion older than this is asked for again when its image is next seen
	Parallel      int        `json:"parallel"`             // images it is asked about at once

	About       ScannerAbout `json:"about"`
	PausedUntil time.Time    `json:"pausedUntil,omitzero"` // it asked for time, or could not be reached
	CreatedAt   time.Time    `json:"createdAt"`
	UpdatedAt   time.Time    `json:"updatedAt"`

	Opinions map[string]int `json:"opinions,omitempty"` // how many there are by state; of a single scanner only
}

// ScannerTLS says how the scanner's certificate is judged.
type ScannerTLS struct {
	CACert     string `json:"caCert,omitempty"` // PEM; trusted in addition to the system's
	SkipVerify bool   `json:"skipVerify,omitempty"`
}

// ScannerAbout is what a scanner said of itself when it was last asked.
type ScannerAbout struct {
	Name       string    `json:"name,omitempty"`
	Vendor     string    `json:"vendor,omitempty"`
	Version    string    `json:"version,omitempty"`
	Consumes   []string  `json:"consumes,omitempty"`   // media types of manifests
	Reports    []string  `json:"reports,omitempty"`    // media types
	SBOM       bool      `json:"sbom,omitempty"`       // it makes bills of materials as well
	WantsLogin string    `json:"wantsLogin,omitempty"` // Basic or Bearer: how it wants to log in to registries
	DatabaseAt time.Time `json:"databaseAt,omitzero"`  // when its vulnerability database was updated
	CheckedAt  time.Time `json:"checkedAt,omitzero"`
}

// ScannerDraft is a scanner to store.
type ScannerDraft struct {
	Name          string     `json:"name"`
	URL           string     `json:"url,omitempty"`   // what comes before /api/v1/metadata; empty keeps the stored one
	Login         string     `json:"login,omitempty"` // empty is none
	Username      string     `json:"username,omitempty"`
	Secret        string     `json:"secret,omitempty"` // password, token or key; empty keeps the stored one
	Lend          string     `json:"lend,omitempty"`   // empty is auto
	TLS           ScannerTLS `json:"tls,omitzero"`
	Disabled      bool       `json:"disabled,omitempty"`
	AllRegistries bool       `json:"allRegistries,omitempty"`
	Registries    []string   `json:"registries,omitempty"`
	MaxAge        string     `json:"maxAge,omitempty"`    // as 24h, which is the default
	Parallel      int        `json:"parallel,omitempty"`  // 0 is 4
	Unchecked     bool       `json:"unchecked,omitempty"` // store it although it does not answer as a scanner does
}

// ScannerQuestion is what a scanner is asked anew.
type ScannerQuestion struct {
	Image string `json:"image,omitempty"` // digest; empty is every image it was asked about
}

// Asked is how many images a scanner is asked about.
type Asked struct {
	Images int `json:"images"`
}

func scannerPath(id string, more ...string) string {
	parts := []string{"/scanners", url.PathEscape(id)}
	for _, part := range more {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

// Scanners returns all scanners by name.
func (c *Client) Scanners(ctx context.Context) ([]Scanner, error) {
	var out Page[Scanner]
	err := c.do(ctx, http.MethodGet, "/scanners", nil, nil, &out)
	return out.Items, err
}

// Scanner returns one scanner.
func (c *Client) Scanner(ctx context.Context, id string) (*Scanner, error) {
	var out Scanner
	return &out, c.do(ctx, http.MethodGet, scannerPath(id), nil, nil, &out)
}

// AddScanner asks a scanner what it is and stores it.
func (c *Client) AddScanner(ctx context.Context, s ScannerDraft) (*Scanner, error) {
	var out Scanner
	return &out, c.do(ctx, http.MethodPost, "/scanners", nil, s, &out)
}

// ChangeScanner replaces a scanner.
func (c *Client) ChangeScanner(ctx context.Context, id string, s ScannerDraft) (*Scanner, error) {
	var out Scanner
	return &out, c.do(ctx, http.MethodPut, scannerPath(id), nil, s, &out)
}

// RemoveScanner removes a scanner with everything it said.
func (c *Client) RemoveScanner(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, scannerPath(id), nil, nil, nil)
}

// ValidateScanner asks a scanner what it is and can do now.
func (c *Client) ValidateScanner(ctx context.Context, id string) (*Scanner, error) {
	var out Scanner
	return &out, c.do(ctx, http.MethodPost, scannerPath(id, "validate"), nil, nil, &out)
}

// AskScanner has a scanner asked anew.
func (c *Client) AskScanner(ctx context.Context, id string, q ScannerQuestion) (*Asked, error) {
	var out Asked
	return &out, c.do(ctx, http.MethodPost, scannerPath(id, "ask"), nil, q, &out)
}
