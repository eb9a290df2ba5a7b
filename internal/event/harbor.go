package event

import (
	"encoding/json"
	"strings"
)

// isHarbor recognises Harbor's own format by event_data, and its CloudEvents by their type.
func isHarbor(m *message) bool {
	return m.has("type", "event_data") || strings.HasPrefix(m.text("type"), "harbor.") && m.has("data")
}

func readHarbor(m *message) (Reading, error) {
	var in struct {
		Type    string          `json:"type"`
		OccurAt float64         `json:"occur_at"`
		Data    json.RawMessage `json:"event_data"`
		ID      string          `json:"id"`   // CloudEvents
		Time    string          `json:"time"` // CloudEvents
		Cloud   json.RawMessage `json:"data"` // CloudEvents
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	action, data, at := Push, in.Data, seconds(in.OccurAt)
	if data == nil {
		data, at = in.Cloud, when(in.Time)
	}
	switch in.Type {
	case "PUSH_ARTIFACT", "harbor.artifact.pushed":
	case "DELETE_ARTIFACT", "harbor.artifact.deleted":
		action = Delete
	case "PULL_ARTIFACT", "harbor.artifact.pulled":
		return Reading{}, nil // our own pulls come back as events
	default:
		return Reading{Reason: "nothing follows from an event of the type " + short(in.Type)}, nil
	}
	var d struct {
		Resources []struct {
			Digest string `json:"digest"`
			Tag    string `json:"tag"`
			URL    string `json:"resource_url"`
		} `json:"resources"`
		Repository struct {
			FullName string `json:"repo_full_name"`
		} `json:"repository"`
	}
	if err := (&message{doc: data}).decode(&d); err != nil {
		return Reading{}, err
	}
	var out Reading
	for _, r := range d.Resources {
		registry, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL, "https://"), "http://"), "/")
		out.Events = append(out.Events, PushEvent{Host: registry, Repository: d.Repository.FullName, Tag: r.Tag, Digest: r.Digest, Action: action})
	}
	for i := range out.Events {
		out.Events[i].OccurredAt, out.Events[i].DeliveryID = at, in.ID
	}
	return out, nil
}
