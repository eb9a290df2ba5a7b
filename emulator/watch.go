package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// version is the resource version of the cluster: it grows with every change.
func (e *Emulator) version() string {
	e.fleet.mu.RLock()
	defer e.fleet.mu.RUnlock()
	return strconv.Itoa(1000 + len(e.fleet.log))
}

// watchImageStreams sends every image stream that changes after the given version, until the client goes or its time is
// over. Kubernetes: "API Concepts", efficient detection of changes.
func (e *Emulator) watchImageStreams(w http.ResponseWriter, r *http.Request, from, to int) {
	q := r.URL.Query()
	sent, err := strconv.Atoi(q.Get("resourceVersion"))
	if sent -= 1000; err != nil || sent < 0 {
		sent = 0
	}
	ends := time.NewTimer(time.Duration(number(r, "timeoutSeconds", 300, 1, 3600)) * time.Second)
	defer ends.Stop()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	for {
		e.fleet.mu.RLock()
		log, changed := e.fleet.log, e.fleet.changed
		e.fleet.mu.RUnlock()
		for ; sent < len(log); sent++ {
			if log[sent] < from || log[sent] >= to {
				continue
			}
			event, err := json.Marshal(document{"type": "MODIFIED", "object": e.imageStream(log[sent])})
			if err != nil {
				return
			}
			if _, err := w.Write(append(event, '\n')); err != nil {
				return
			}
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-changed:
		case <-ends.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}
