package event

import (
	"encoding/json"
	"strings"
)

const validationEvent = "Microsoft.EventGrid.SubscriptionValidationEvent"

// isEventGrid recognises Azure Event Grid by the type of its events, in its own schema (eventType) and as CloudEvents (type).
func isEventGrid(m *message) bool {
	kind := gridType(m)
	return kind == validationEvent || strings.HasPrefix(kind, "Microsoft.ContainerRegistry.")
}

func gridType(m *message) string {
	if kind := m.text("eventType"); kind != "" {
		return kind
	}
	if kind := m.text("type"); kind != "" {
		return kind
	}
	return m.header.Get("Ce-Type")
}

// readEventGrid reads one event, and answers the handshake by which Event Grid makes sure of an address. The validationUrl
// that comes with it is not called.
func readEventGrid(m *message) (Reading, error) {
	var in struct {
		ID        string          `json:"id"`
		EventTime string          `json:"eventTime"`
		Time      string          `json:"time"`
		Data      json.RawMessage `json:"data"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	data := &message{doc: in.Data}
	if in.Data == nil {
		data.doc = m.doc // a CloudEvent whose attributes are headers
	}
	kind := gridType(m)
	if kind == validationEvent {
		return handshake(data)
	}
	var a azure
	if err := data.decode(&a); err != nil {
		return Reading{}, err
	}
	switch strings.TrimPrefix(kind, "Microsoft.ContainerRegistry.") {
	case "ImagePushed":
		a.Action = "push"
	case "ImageDeleted":
		a.Action = "delete"
	default:
		a.Action = kind
	}
	e := a.event()
	if in.ID != "" {
		e.DeliveryID = in.ID
	}
	if t := when(in.EventTime + in.Time); !t.IsZero() {
		e.OccurredAt = t
	}
	return Reading{Events: []PushEvent{e}}, nil
}

func handshake(data *message) (Reading, error) {
	var in struct {
		Code string `json:"validationCode"`
	}
	if err := data.decode(&in); err != nil {
		return Reading{}, err
	}
	if in.Code == "" || len(in.Code) > maxText {
		return Reading{}, malformed("the handshake holds no validation code")
	}
	reply, err := json.Marshal(map[string]string{"validationResponse": in.Code})
	return Reading{Reply: reply}, err
}
