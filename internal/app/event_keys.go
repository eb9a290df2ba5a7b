package app

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// pushKeys returns the keys that Pub/Sub's tokens are checked with: Google's, or those of Endpoints["google-keys"]. They are
// fetched by the guarded client, as everything outside is.
func (a *App) pushKeys(client *oci.Client) (*event.Keys, error) {
	url := a.cfg.Endpoints["google-keys"]
	if url == "" {
		url = event.GoogleKeysURL
	}
	web, err := client.HTTP(oci.Endpoint{})
	return &event.Keys{URL: url, Client: web, Now: time.Now}, err
}
