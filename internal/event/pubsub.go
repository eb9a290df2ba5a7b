package event

import (
	"encoding/base64"
	"strings"
)

// isPubSub recognises the envelope in which Google's Pub/Sub pushes messages.
func isPubSub(m *message) bool { return m.has("message", "subscription") }

// readPubSub reads a message of the topic "gcr".
func readPubSub(m *message) (Reading, error) {
	var in struct {
		Message struct {
			Data        string `json:"data"`
			ID          string `json:"messageId"`
			PublishTime string `json:"publishTime"`
		} `json:"message"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	data, err := base64.StdEncoding.DecodeString(in.Message.Data)
	if err != nil {
		return Reading{}, malformed("the message's data is not base64")
	}
	if depth(data) > MaxDepth {
		return Reading{}, malformed("the message's data nests deeper than %d levels", MaxDepth)
	}
	var d struct {
		Action string `json:"action"`
		Digest string `json:"digest"`
		Tag    string `json:"tag"`
	}
	if err := (&message{doc: data}).decode(&d); err != nil {
		return Reading{}, err
	}
	e := PushEvent{Action: Push, OccurredAt: when(in.Message.PublishTime), DeliveryID: in.Message.ID}
	switch d.Action {
	case "INSERT":
	case "DELETE":
		e.Action = Delete
	default:
		e.Unusable = "nothing follows from the action " + short(d.Action)
	}
	name, digest, _ := strings.Cut(d.Digest, "@")
	e.Digest = digest
	if i := strings.LastIndexByte(d.Tag, ':'); i > strings.LastIndexByte(d.Tag, '/') && i >= 0 {
		name, e.Tag = d.Tag[:i], d.Tag[i+1:]
	}
	e.Host, e.Repository, _ = strings.Cut(name, "/")
	return Reading{Events: []PushEvent{e}}, nil
}
