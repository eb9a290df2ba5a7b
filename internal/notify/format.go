package notify

import (
	"encoding/json"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Render writes a message in a webhook's format. The same message always gives the same bytes.
func Render(w *tidewaiter.Webhook, m *tidewaiter.WebhookMessage) (contentType string, body []byte, err error) {
	switch w.Format {
	case tidewaiter.FormatCloudEvents:
		contentType, body, err = cloudEvent(m)
	case tidewaiter.FormatSlack:
		contentType, body, err = slack(m)
	case tidewaiter.FormatJSON:
		contentType = "application/json"
		body, err = json.Marshal(m)
	default:
		err = fmt.Errorf("no such format: %q", w.Format)
	}
	return contentType, body, err
}
