// Package inbox is the address of each registry that push events are sent to:
//
//	/tidewaiter/v1/events/<the registry's id>/<a secret>
//
// Who knows the secret may send; anything else is 404 with an empty body, whatever is wrong with it. What an event means is
// found out after the answer, which says that it is stored. Nothing a delivery holds is ever called.
package inbox

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Pattern is where the addresses are mounted.
const Pattern = control.EventPath + "{registry}/{end}"

// Config is what the addresses work with. Every field is required.
type Config struct {
	Control *control.Control
	Log     *slog.Logger
}

// New returns a handler for Pattern.
func New(c Config) http.Handler { return &inbox{c.Control, c.Log} }

type inbox struct {
	control *control.Control
	log     *slog.Logger
}

// Loggable takes the secret end off the path of an address; other paths stay as they are.
func Loggable(path string) string {
	before, rest, found := strings.Cut(path, control.EventPath)
	if !found {
		return path
	}
	if registry, _, more := strings.Cut(rest, "/"); more {
		return before + control.EventPath + registry + "/…"
	}
	return path
}

// ServeHTTP takes deliveries (POST, and DELETE as some senders have it) and answers the handshake of CloudEvents (OPTIONS).
func (s *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	registry := r.PathValue("registry")
	sender, err := s.control.Invited(r.Context(), registry, r.PathValue("end"))
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
		s.control.RefusedEvent(err)
	case err != nil:
	case r.Method == http.MethodOptions:
		allow(w, r)
	case r.Method == http.MethodPost || r.Method == http.MethodDelete:
		err = s.take(w, r, sender)
	default:
		w.Header().Set("Allow", methods)
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	if err != nil {
		s.fail(w, r, registry, err)
	}
}

const methods = "POST, DELETE, OPTIONS"

// allow repeats the origin that asks whether it may send, with a rate when one was asked for. CloudEvents, HTTP 1.1 Web Hooks
// 4.2. The address it may name for a later answer is not called.
func allow(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", methods)
	if origin := r.Header.Get("Webhook-Request-Origin"); origin != "" && len(origin) <= 255 {
		w.Header().Set("Webhook-Allowed-Origin", origin)
		w.Header().Set("Webhook-Allowed-Rate", "*")
	}
}

var (
	errTooLarge   = tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body is larger than %d MiB", control.MaxDelivery>>20)
	errCut        = tidewaiter.Errorf(tidewaiter.ErrInvalid, "the body was cut short")
	errCompressed = tidewaiter.Errorf(tidewaiter.ErrUnsupported, "compressed bodies are not taken").WithFix("send the body as it is")
)

func (s *inbox) take(w http.ResponseWriter, r *http.Request, sender *control.Invitation) error {
	release, err := s.control.RoomForEvent(r.Context(), r.ContentLength)
	if err != nil {
		return err
	}
	defer release()
	body, err := read(w, r)
	if err != nil {
		s.control.RefusedEvent(err)
		return err
	}
	if len(body) == 0 {
		return nil // somebody tries the address
	}
	receipt, err := sender.Receive(r.Context(), control.Delivery{Header: r.Header, Body: body})
	if err != nil {
		return err
	}
	reply := receipt.Reply
	if reply == nil && receipt.Reason != "" {
		// 200 all the same: it is kept, and sending it again would not help. Who tries the address out wants to know.
		reply, err = json.Marshal(map[string]string{"unused": receipt.Reason})
	}
	if err != nil || reply == nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply) // who asked may have gone
	return nil
}

// read reads the body, which is bounded and not compressed.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, errCompressed
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, control.MaxDelivery))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, errCut
	}
	return body, nil
}

// fail answers with the status of an error and, but for an address that is none, its text.
func (s *inbox) fail(w http.ResponseWriter, r *http.Request, registry string, err error) {
	status := map[tidewaiter.ErrorKind]int{
		tidewaiter.ErrNotFound: http.StatusNotFound, tidewaiter.ErrForbidden: http.StatusForbidden,
		tidewaiter.ErrTooLarge: http.StatusRequestEntityTooLarge, tidewaiter.ErrInvalid: http.StatusBadRequest,
		tidewaiter.ErrUnsupported: http.StatusUnsupportedMediaType, tidewaiter.ErrTransient: http.StatusServiceUnavailable,
		tidewaiter.ErrCanceled: http.StatusServiceUnavailable, tidewaiter.ErrLimit: http.StatusServiceUnavailable,
		tidewaiter.ErrUnreachable: http.StatusServiceUnavailable,
	}[tidewaiter.KindOf(err)]
	switch status {
	case http.StatusNotFound:
		w.WriteHeader(status)
		return
	case 0:
		s.log.ErrorContext(r.Context(), "event: request went wrong", "registry", registry, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(1))
	case http.StatusForbidden: // logged where it was found out
	default:
		s.log.WarnContext(r.Context(), "event refused", "registry", registry, "err", err)
	}
	http.Error(w, err.Error(), status)
}
