package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// What becomes of an event, as the metric says it. A delivery that could not be read counts as one event.
const (
	eventStored    = "stored"
	eventDuplicate = "duplicate" // the sender had delivered it before
	eventUnused    = "unused"    // stored with the reason why nothing follows from it
	eventEmpty     = "empty"     // a handshake or ping: nothing to store
	eventRefused   = "refused"
	eventFailed    = "failed" // not stored: the sender tries again
)

// eventReasons are the words the metric has for why something was refused or failed; any other kind is "other". No label is
// taken from what was sent.
var eventReasons = map[tidewaiter.ErrorKind]string{
	tidewaiter.ErrForbidden: "proof", tidewaiter.ErrNotFound: "address", tidewaiter.ErrMalformed: "malformed", tidewaiter.ErrInvalid: "malformed",
	tidewaiter.ErrUnsupported: "unsupported", tidewaiter.ErrTooLarge: "too_large", tidewaiter.ErrTransient: "unavailable",
	tidewaiter.ErrUnreachable: "unavailable", tidewaiter.ErrLimit: "unavailable", tidewaiter.ErrCanceled: "unavailable",
}

// eventMetrics counts the events that come in.
type eventMetrics struct{ received *prometheus.CounterVec }

// newEventMetrics registers the counter, unless there is nowhere to.
func newEventMetrics(r prometheus.Registerer) *eventMetrics {
	m := &eventMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidewaiter_events_received_total",
		Help: "Events that registries sent or that were taken from their queues, by sender, what became of them, and why they were refused. What could not be read counts as one."},
		[]string{"sender", "result", "reason"})}
	if r != nil {
		r.MustRegister(m.received)
	}
	return m
}

func (m *eventMetrics) count(sender event.Sender, result string, why error) {
	name, reason := string(sender), ""
	if sender == event.SenderUnknown {
		name = "unknown"
	}
	if why != nil {
		if reason = eventReasons[tidewaiter.KindOf(why)]; reason == "" {
			reason = "other"
		}
	}
	m.received.WithLabelValues(name, result, reason).Inc()
}

// stored counts what a delivery held, once it is in the store.
func (m *eventMetrics) stored(p *pending) {
	for _, e := range p.delivery.Events {
		result := eventStored
		switch {
		case p.again[e]:
			result = eventDuplicate
		case e.State == store.EventUnused:
			result = eventUnused
		}
		m.count(event.Sender(e.Sender), result, nil)
	}
}

// RefusedEvent counts a delivery that was refused before anybody read it: at an address that is none, or too large.
func (c *Control) RefusedEvent(why error) { c.events.count(event.SenderUnknown, eventRefused, why) }
