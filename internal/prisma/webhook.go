package prisma

import (
	"crypto/subtle"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var errNoAddress = tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no such address")

// invited reports whether a request knows the secret end of the address, and answers 404 with an empty body if not.
// Prisma: the address is the only thing that keeps strangers out.
func (s *server) invited(w http.ResponseWriter, r *http.Request) (bool, error) {
	want, err := s.control.Suffix(r.Context(), control.SettingWebhookSuffix)
	if err != nil {
		return false, err
	}
	if subtle.ConstantTimeCompare([]byte(r.PathValue("suffix")), []byte(want)) != 1 {
		w.WriteHeader(http.StatusNotFound)
		return false, nil
	}
	return true, nil
}

// receiveEvent takes what registries send when something was pushed or deleted. What the event means is found out after the
// answer. Prisma: POST and DELETE, whatever the sender.
func (s *server) receiveEvent(w http.ResponseWriter, r *http.Request) error {
	if ok, err := s.invited(w, r); !ok {
		if err == nil {
			s.control.RefusedEvent(errNoAddress)
		}
		return err
	}
	release, err := s.control.RoomForEvent(r.Context(), r.ContentLength)
	if err != nil {
		return err
	}
	defer release()
	body, err := readWhole(w, r, control.MaxDelivery)
	if err != nil {
		s.control.RefusedEvent(err)
		if tidewaiter.KindOf(err) == tidewaiter.ErrTooLarge {
			s.log.WarnContext(r.Context(), "event refused", "err", err)
		}
		return err
	}
	if len(body) == 0 {
		return nil // somebody tries the address
	}
	reply, err := s.control.ReceiveEvent(r.Context(), control.Delivery{Header: r.Header, Body: body})
	if err != nil || reply == nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply) // who asked may have gone
	return nil
}

// allowEvents answers the handshake of CloudEvents, by which a sender asks whether it may send. CloudEvents HTTP webhook
// spec 4: the origin is repeated, and a rate is given when one was asked for.
func (s *server) allowEvents(w http.ResponseWriter, r *http.Request) error {
	if ok, err := s.invited(w, r); !ok {
		return err
	}
	w.Header().Set("Allow", "POST, DELETE, OPTIONS")
	if origin := r.Header.Get("Webhook-Request-Origin"); origin != "" && len(origin) <= 255 {
		w.Header().Set("Webhook-Allowed-Origin", origin)
		w.Header().Set("Webhook-Allowed-Rate", "*")
	}
	return nil
}
