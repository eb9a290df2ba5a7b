package emulator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// How Pub/Sub gives messages out: hidden for the subscription's acknowledgement deadline; a pull without messages is held
// for a while and then answered with none.
const (
	pubSubDeadline = 10 * time.Second
	pubSubHold     = 5 * time.Second
)

// pubSub is Google's Pub/Sub with one subscription. Google: "REST Resource: projects.subscriptions".
func (e *Emulator) pubSub(w http.ResponseWriter, r *http.Request) {
	name, verb, _ := strings.Cut(r.PathValue("call"), ":")
	label(r, e, "pubsub:"+verb)
	if full := "projects/" + r.PathValue("project") + "/subscriptions/" + name; full != e.Queue() {
		googleError(w, r, http.StatusNotFound, "Resource not found (resource="+name+").")
		return
	}
	var in struct {
		Max  int      `json:"maxMessages"`
		Acks []string `json:"ackIds"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		googleError(w, r, http.StatusBadRequest, "Invalid JSON payload received.")
		return
	}
	switch {
	case verb == "pull" && in.Max > 0:
		doc := document{}
		var list []document
		for _, m := range e.queue.take(r.Context(), in.Max, pubSubDeadline, pubSubHold, e.now) {
			list = append(list, document{"ackId": m.handle, "message": document{"data": base64.StdEncoding.EncodeToString([]byte(m.body)),
				"messageId": m.id, "publishTime": m.at.UTC().Format(time.RFC3339Nano)}})
		}
		if len(list) > 0 {
			doc["receivedMessages"] = list
		}
		writeJSON(w, r, http.StatusOK, doc)
	case verb == "acknowledge" && len(in.Acks) > 0:
		for _, id := range in.Acks {
			e.queue.remove(id) // Google: one that is too old is passed over
		}
		writeJSON(w, r, http.StatusOK, document{})
	default:
		googleError(w, r, http.StatusBadRequest, "You have passed an invalid argument to the service.")
	}
}
