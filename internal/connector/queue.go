package connector

import (
	"context"
	"regexp"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Queue is where events of a registry wait to be fetched. Errors are as those of a registry's own API.
type Queue interface {
	// Receive waits for messages, about as long as the vendor lets it, and returns those there are; none is no error. They
	// stay on the queue, hidden for a while, until Done.
	Receive(ctx context.Context) ([]tidewaiter.Message, error)
	// Done takes messages off.
	Done(ctx context.Context, handles []string) error
}

// The places queues can be at. A credential goes to no other host than the vendor's.
var (
	sqsPlace = regexp.MustCompile(`^https://sqs(-fips)?\.([a-z0-9-]{4,30})\.(amazonaws\.com|amazonaws\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov)/([0-9]{12})/([A-Za-z0-9_-]{1,80}(\.fifo)?)$`)
	// sqsPath is what has to follow where Options.Endpoints replaces the host.
	sqsPath     = regexp.MustCompile(`^https?://[^/?#\s]{1,255}/([0-9]{12})/([A-Za-z0-9_-]{1,80}(\.fifo)?)$`)
	pubSubPlace = regexp.MustCompile(`^projects/[a-z][a-z0-9:.-]{4,61}/subscriptions/[A-Za-z][A-Za-z0-9._~%+-]{2,254}$`)
)

// CheckQueue reports whether events of a registry can be fetched from a queue, as an ErrInvalid that names the field.
func (c *Connector) CheckQueue(r *tidewaiter.Registry, kind store.EventSourceKind, place string) error {
	switch kind {
	case store.EventSourceSQS:
		if r.Kind != tidewaiter.KindECR {
			return tidewaiter.Invalid("kind", "only registries of the kind ecr have events in SQS")
		}
		if !sqsPlace.MatchString(place) && (c.options.Endpoints["sqs"] == "" || !sqsPath.MatchString(place)) {
			return tidewaiter.Invalid("place", "not the URL of a queue of SQS").
				WithFix("write it as https://sqs.eu-central-1.amazonaws.com/123456789012/name")
		}
	case store.EventSourcePubSub:
		if r.Kind != tidewaiter.KindGAR {
			return tidewaiter.Invalid("kind", "only registries of the kind gar have events in Pub/Sub")
		}
		if !pubSubPlace.MatchString(place) {
			return tidewaiter.Invalid("place", "not the name of a subscription of Pub/Sub").
				WithFix("write it as projects/my-project/subscriptions/name")
		}
	default:
		return tidewaiter.Invalid("kind", "there is no kind of queue %q", kind).WithFix("sqs or pubsub")
	}
	if r.CredentialID == "" {
		return tidewaiter.Invalid("credentialID", "the registry has no credential to read the queue with").WithFix("give it one that may")
	}
	return nil
}

// OpenQueue returns the queue of an event source, logged in with the credential of its registry.
func (c *Connector) OpenQueue(ctx context.Context, s *store.EventSource) (Queue, error) {
	r, err := c.store.Registry(ctx, s.RegistryID)
	if err != nil {
		return nil, err
	}
	if err := c.CheckQueue(r, s.Kind, s.Place); err != nil {
		return nil, err
	}
	cred, err := c.store.Credential(ctx, r.CredentialID)
	if err != nil {
		return nil, err
	}
	plain, err := c.reveal(cred)
	if err != nil {
		return nil, err
	}
	own := *cred
	own.ID += " queue " + r.ID // a request that waits for messages holds nobody else up
	o := &opening{Connector: c, registry: r, credential: &own, secret: plain}
	if s.Kind == store.EventSourceSQS {
		return o.sqs(s.Place)
	}
	return o.pubSub(s.Place)
}
