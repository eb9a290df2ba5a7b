package notify

import (
	"encoding/json"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The attributes that are the same in every event.
const (
	eventSource     = "/tidewaiter"
	eventTypePrefix = "io.github.tidewaiter."
)

// event is a CloudEvent 1.0 in structured mode. Source and id together are unique: ids are UUIDs.
type event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject,omitempty"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            eventData `json:"data"`
}

type eventData struct {
	Title string `json:"title"`
	tidewaiter.MessageData
}

func cloudEvent(m *tidewaiter.WebhookMessage) (string, []byte, error) {
	body, err := json.Marshal(event{
		SpecVersion: "1.0", ID: m.ID, Source: eventSource, Type: eventTypePrefix + string(m.Topic), Subject: m.Subject, Time: m.Time,
		DataContentType: "application/json", Data: eventData{m.Title, m.Data},
	})
	return "application/cloudevents+json; charset=utf-8", body, err
}
