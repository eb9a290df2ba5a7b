// Package event understands what registries send when something was pushed or deleted: one sender a file, one normal form.
// A Delivery is recognised by its content, and by its headers where nothing else tells senders apart.
//
// Nothing in an event is trusted. It names a tag worth a look; what the tag holds is asked of the declared registry. An
// address inside an event is never called, and its host only chooses among declared registries.
package event

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Sender is what sent an event.
type Sender string

// The senders.
const (
	SenderUnknown      Sender = ""
	SenderDistribution Sender = "distribution" // also GitLab, and whatever else sends its envelope
	SenderDockerHub    Sender = "dockerhub"
	SenderACR          Sender = "acr"
	SenderEventGrid    Sender = "eventgrid"
	SenderECR          Sender = "ecr"
	SenderPubSub       Sender = "pubsub" // Google's registries
	SenderHarbor       Sender = "harbor"
	SenderQuay         Sender = "quay"
	SenderJFrog        Sender = "jfrog"
	SenderNexus        Sender = "nexus"
	SenderGitHub       Sender = "github"
	SenderGitea        Sender = "gitea"
	SenderZot          Sender = "zot"
	SenderAlibaba      Sender = "alibaba"
	SenderDTR          Sender = "dtr"
)

// Action is what happened.
type Action string

// The actions.
const (
	Push   Action = "push"
	Delete Action = "delete"
)

// PushEvent is the normal form: something happened to one tag, or to one digest where the sender names no tag.
type PushEvent struct {
	Host       string // in lower case, as image names begin; may be internal to the sender; "" when it does not say
	Repository string
	OtherNames []string // what the repository may be called as well, where that depends on how the registry is set up
	Tag        string
	Digest     string
	MediaType  string // of the manifest; "" when the sender does not say
	Action     Action
	OccurredAt time.Time // as the sender says; zero when it does not
	Sender     Sender
	DeliveryID string // the sender's own name for it; "" when it gives none
	RegistryID string // the declared registry whose address it came to; "" for the address all share

	// Unusable says why nothing follows from the event; "" when something does.
	Unusable string
}

// Limits of a delivery. They bound what a stranger who learned the address can make us do.
const (
	MaxBody   = 1 << 20
	MaxDepth  = 32  // of nested JSON
	MaxEvents = 500 // in one body
)

// The fields of an event are bounded too; what is longer makes it unusable or is dropped.
const (
	maxRepository = 255
	maxText       = 255
)

// Reading is what a delivery holds.
type Reading struct {
	Sender Sender
	Events []PushEvent
	Reply  []byte // JSON to answer with, for the handshakes that want one; nil for an empty answer
	Reason string // why there are no events although the delivery is worth keeping; "" when there is nothing to keep
}

func malformed(format string, args ...any) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, format, args...)
}
