package event

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Delivery is one request of a sender.
type Delivery struct {
	Header http.Header
	Body   []byte
}

// kept are the headers that say what a body means. Signatures and logins are not among them: they are never stored.
var kept = []string{
	"Content-Type", "Ce-Id", "Ce-Source", "Ce-Specversion", "Ce-Time", "Ce-Type", "X-Gitea-Delivery", "X-Gitea-Event",
	"X-Github-Delivery", "X-Github-Event", "X-Nexus-Webhook-Delivery", "X-Nexus-Webhook-Id",
}

// Headers returns the headers that are needed to read the delivery again, each cut to 255 characters.
func (d Delivery) Headers() http.Header {
	out := http.Header{}
	for _, name := range kept {
		if v := d.Header.Get(name); v != "" {
			out.Set(name, short(v))
		}
	}
	return out
}

// sender is one line of the table of senders.
type sender struct {
	name Sender
	is   func(*message) bool
	read func(*message) (Reading, error)
	// signed checks the sender's signature with the secret; nil for senders that cannot sign.
	signed func(m *message, secret []byte) bool
}

// senders lists all of them. The first that recognises a message reads it, so what looks alike stands in order.
func senders() []sender {
	return []sender{
		{SenderGitea, isGitea, readGitea, signedGitea},
		{SenderGitHub, isGitHub, readGitHub, signedGitHub},
		{SenderNexus, isNexus, readNexus, signedNexus},
		{SenderZot, isZot, readZot, nil},
		{SenderEventGrid, isEventGrid, readEventGrid, nil},
		{SenderECR, isECR, readECR, nil},
		{SenderPubSub, isPubSub, readPubSub, nil},
		{SenderJFrog, isJFrog, readJFrog, signedJFrog},
		{SenderHarbor, isHarbor, readHarbor, nil},
		{SenderDTR, isDTR, readDTR, nil},
		{SenderQuay, isQuay, readQuay, nil},
		{SenderAlibaba, isAlibaba, readAlibaba, nil},
		{SenderDockerHub, isDockerHub, readDockerHub, nil},
		{SenderDistribution, isDistribution, readDistribution, nil},
		{SenderACR, isACR, readACR, nil},
	}
}

// message is one JSON object of a delivery: all of its body, or one of a list.
type message struct {
	header http.Header
	body   []byte // of the whole delivery, as signed
	doc    []byte // the object
	top    map[string]json.RawMessage
}

func (m *message) has(keys ...string) bool {
	for _, k := range keys {
		if _, ok := m.top[k]; !ok {
			return false
		}
	}
	return true
}

// text returns a top-level string, "" when it is none.
func (m *message) text(key string) string {
	var s string
	if json.Unmarshal(m.top[key], &s) != nil {
		return ""
	}
	return s
}

func (m *message) decode(v any) error {
	if err := json.Unmarshal(m.doc, v); err != nil {
		return malformed("a field of the event is not of the type it should be")
	}
	return nil
}

// Read recognises a delivery and brings it into the normal form. secret is what senders that can sign must have signed
// with; empty accepts them unsigned. Errors as ReadProven.
func Read(d Delivery, secret []byte) (Reading, error) { return ReadProven(d, Proof{Secret: secret}) }

// ReadProven recognises a delivery, checks its proof and brings it into the normal form. Errors: ErrTooLarge and
// ErrMalformed for what breaks the limits or is no JSON, ErrUnsupported for what no sender is known to send, ErrForbidden for
// a proof that is missing or wrong, and what Proof.Token returns.
func ReadProven(d Delivery, p Proof) (Reading, error) {
	messages, err := split(d)
	if err != nil {
		return Reading{}, err
	}
	var all Reading
	table := senders()
	for _, m := range messages {
		i := slices.IndexFunc(table, func(s sender) bool { return s.is(m) })
		if i < 0 {
			return all, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "no sender of events is known whose body looks like this")
		}
		all.Sender = table[i].name
		if err := p.check(&table[i], m); err != nil {
			return all, err
		}
		r, err := table[i].read(m)
		if err != nil {
			return all, err
		}
		if len(all.Events)+len(r.Events) > MaxEvents {
			return all, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body holds more than %d events", MaxEvents)
		}
		for _, e := range r.Events {
			e.Sender = all.Sender
			all.Events = append(all.Events, checked(e))
		}
		if r.Reply != nil {
			all.Reply = r.Reply
		}
		if r.Reason != "" {
			all.Reason = r.Reason
		}
	}
	return all, nil
}

func split(d Delivery) ([]*message, error) {
	if len(d.Body) > MaxBody {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body is larger than %d MiB", MaxBody>>20)
	}
	if depth(d.Body) > MaxDepth {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body nests deeper than %d levels", MaxDepth)
	}
	body := bytes.TrimSpace(d.Body)
	docs := []json.RawMessage{body}
	if len(body) > 0 && body[0] == '[' {
		if err := json.Unmarshal(body, &docs); err != nil {
			return nil, malformed("the body is not JSON")
		}
	}
	if len(docs) > MaxEvents {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body holds more than %d events", MaxEvents)
	}
	var out []*message
	for _, doc := range docs {
		m := &message{header: d.Header, body: d.Body, doc: doc}
		if err := json.Unmarshal(doc, &m.top); err != nil || m.top == nil {
			return nil, malformed("the body is no JSON object")
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, malformed("the body is empty")
	}
	return out, nil
}

// depth returns how deep JSON nests, without reading it: brackets outside of strings.
func depth(b []byte) int {
	deepest, level, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

func short(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "") }
