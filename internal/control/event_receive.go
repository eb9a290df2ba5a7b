package control

import (
	"context"
	"crypto/subtle"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// keptWhole is the largest body kept of a delivery nobody could read.
const keptWhole = 64 << 10

// Receipt is what became of a delivery.
type Receipt struct {
	Reply  []byte // JSON some senders want for an answer; nil is none
	Events int    // how many it held
	Reason string // why nothing follows from it, when it holds no events and is worth keeping
}

// ReceiveEvent stores what a registry sent to the address all share, and the jobs that look at it, in one transaction, and
// returns the JSON some senders want for an answer; nil is none. A delivery that cannot be used is stored with the reason,
// and no error. Errors: ErrForbidden for a signature that is missing or wrong, ErrTransient while the database is away; the
// sender tries again.
func (c *Control) ReceiveEvent(ctx context.Context, d Delivery) ([]byte, error) {
	secret, err := c.sealed(ctx, SettingWebhookSecret)
	if err != nil {
		return nil, err
	}
	r, err := c.receive(ctx, "", d, event.Proof{Secret: []byte(secret.Reveal())})
	return r.Reply, err
}

// Invitation is the leave to deliver at the address of one registry.
type Invitation struct {
	control *Control
	address *store.EventAddress
}

// Invited returns the leave to deliver at an address of a registry's, or ErrNotFound when there is none.
func (c *Control) Invited(ctx context.Context, registryID, end string) (*Invitation, error) {
	a, err := c.invited(ctx, registryID, end)
	return &Invitation{c, a}, err
}

// Receive does what ReceiveEvent does: what comes here is about the address's registry and no other, and has to prove what
// was asked for. Errors as ReceiveEvent.
func (i *Invitation) Receive(ctx context.Context, d Delivery) (Receipt, error) {
	c, a := i.control, i.address
	p := event.Proof{All: true, Header: a.Header}
	if a.Proof != nil {
		secret, err := c.keyring.Open(a.Proof, proofOf(a.RegistryID))
		if err != nil {
			return Receipt{}, err
		}
		p.Secret = []byte(secret.Reveal())
	}
	if a.Audience != "" {
		p.Token = func(token string) error { return c.verifyPush(ctx, token, a.Audience, a.Email) }
	}
	return c.receive(ctx, a.RegistryID, d, p)
}

func (c *Control) invited(ctx context.Context, registryID, end string) (*store.EventAddress, error) {
	a, err := c.store.EventAddress(ctx, registryID)
	if err != nil {
		return nil, err
	}
	ends := [][]byte{a.Sealed}
	if a.Former != nil && c.now().Before(a.FormerUntil) {
		ends = append(ends, a.Former)
	}
	for _, sealed := range ends {
		want, err := c.keyring.Open(sealed, registryID)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare([]byte(want.Reveal()), []byte(end)) == 1 {
			return a, nil
		}
	}
	return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no such address")
}

// ReceivePulled stores what was taken from a registry's queue. Whoever may read the queue has shown who they are, so nothing
// else is proved.
func (c *Control) ReceivePulled(ctx context.Context, registryID string, d Delivery) (Receipt, error) {
	return c.receive(ctx, registryID, d, event.Proof{})
}

func (c *Control) receive(ctx context.Context, registryID string, d Delivery, proof event.Proof) (Receipt, error) {
	r, rejected := event.ReadProven(d, proof)
	open := len(proof.Secret) == 0 && proof.Token == nil || !proof.All
	var body []byte
	switch tidewaiter.KindOf(rejected) {
	case "":
		body = d.Body
	case tidewaiter.ErrForbidden: // it may be anybody's: not worth room
	case tidewaiter.ErrMalformed, tidewaiter.ErrUnsupported, tidewaiter.ErrTooLarge:
		if len(d.Body) <= keptWhole && open {
			body = d.Body
		}
	default:
		c.events.count(r.Sender, eventFailed, rejected)
		return Receipt{}, rejected
	}
	if rejected != nil {
		r.Events, r.Reply, r.Reason = nil, nil, rejected.Error()
		c.log.Warn("event refused", "registry", registryID, "sender", string(r.Sender), "bytes", len(d.Body), "err", rejected)
	}
	if len(r.Events) > 0 {
		r.Reason = ""
	}
	out := Receipt{Reply: r.Reply, Events: len(r.Events), Reason: r.Reason}
	if len(r.Events) == 0 && r.Reason == "" {
		c.events.count(r.Sender, eventEmpty, nil)
		return out, nil
	}
	p := c.pendingOf(registryID, d, r, body)
	err := c.deliveries.put(ctx, p)
	switch {
	case err != nil:
		c.events.count(r.Sender, eventFailed, err)
	case rejected != nil:
		c.events.count(r.Sender, eventRefused, rejected)
	default:
		c.events.stored(p)
	}
	if err == nil && tidewaiter.KindOf(rejected) == tidewaiter.ErrForbidden {
		err = rejected
	}
	return out, err
}

// pendingOf makes the rows and jobs of what a delivery holds.
func (c *Control) pendingOf(registryID string, d Delivery, r event.Reading, body []byte) *pending {
	header := d.Headers()
	if len(r.Events) == 0 {
		return &pending{delivery: store.Delivery{Body: body, Events: []*Event{{ReceivedAt: c.now(), Sender: string(r.Sender),
			State: store.EventUnused, Reason: r.Reason, RegistryID: registryID, Header: header}}}}
	}
	p := &pending{delivery: store.Delivery{Body: body}}
	for i := range r.Events {
		e := &r.Events[i]
		e.RegistryID = registryID
		row := &Event{ReceivedAt: c.now(), Sender: string(e.Sender), DeliveryID: e.DeliveryID, Host: e.Host, Repository: e.Repository,
			OtherNames: e.OtherNames, Tag: e.Tag, Digest: e.Digest, MediaType: e.MediaType, Action: string(e.Action),
			OccurredAt: e.OccurredAt, State: store.EventUnused, Reason: e.Unusable, RegistryID: registryID, Header: header}
		if e.Unusable == "" {
			row.State, row.Name = store.EventNew, e.Name()
			p.jobs = append(p.jobs, event.NewJob(row.Name))
		}
		p.delivery.Events = append(p.delivery.Events, row)
	}
	return p
}
