package event

import (
	"encoding/json"
	"strings"
)

// isZot recognises zot's CloudEvents, whose attributes are headers (binary mode) or fields (structured mode).
func isZot(m *message) bool { return strings.HasPrefix(zotType(m), "zotregistry.") }

func zotType(m *message) string {
	if kind := m.header.Get("Ce-Type"); kind != "" {
		return kind
	}
	return m.text("type")
}

// readZot reads an event that does not say which host it comes from: its source is the program's name.
func readZot(m *message) (Reading, error) {
	var in struct {
		ID        string          `json:"id"`
		Time      string          `json:"time"`
		Data      json.RawMessage `json:"data"`
		Name      string          `json:"name"`
		Reference string          `json:"reference"`
		Digest    string          `json:"digest"`
		MediaType string          `json:"mediaType"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	if m.header.Get("Ce-Type") != "" {
		in.ID, in.Time = m.header.Get("Ce-Id"), m.header.Get("Ce-Time")
	} else if err := (&message{doc: in.Data}).decode(&in); err != nil {
		return Reading{}, err
	}
	e := PushEvent{Repository: in.Name, Tag: in.Reference, Digest: in.Digest, MediaType: in.MediaType, OccurredAt: when(in.Time),
		DeliveryID: in.ID, Action: Push}
	switch kind := zotType(m); kind {
	case "zotregistry.image.updated":
	case "zotregistry.image.deleted":
		e.Action = Delete
	default:
		return Reading{Reason: "nothing follows from an event of the type " + short(kind)}, nil
	}
	return Reading{Events: []PushEvent{e}}, nil
}
