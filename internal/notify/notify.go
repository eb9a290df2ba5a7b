// Package notify tells others what has happened here: webhooks, in order, at least once.
//
// What happened is stored in the transaction in which it happens: happenings for scans and registries, changes for images.
// From these a Notifier makes deliveries, one for each webhook that wants to hear of it, in one transaction with noting how
// far it has come. A delivery is then sent until the receiver takes it or it is given up. Its id stays the same, so that a
// receiver can tell a repetition: a process that dies between the answer and the note of it sends once more.
//
// Any number of processes may do this at once. A delivery that is being sent is held by its DueAt; when that has passed the
// sender counts as dead.
package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config is what a Notifier works with. Every field is required but Poll and Hold.
type Config struct {
	Store     *store.DB
	Keyring   *secret.Keyring
	Outbound  *oci.Outbound
	UserAgent string
	Now       func() time.Time
	NewID     func() string  // UUIDs
	Jitter    func() float64 // in [0,1)
	Log       *slog.Logger
	Metrics   prometheus.Registerer

	Poll time.Duration // between two looks for something to do; 0 is a second
	Hold time.Duration // how long a sender may be silent before it counts as dead; 0 is 30 s
}

// Notifier makes deliveries and sends them.
type Notifier struct {
	Config
	metrics *metrics
	wake    chan struct{}

	mu      sync.Mutex
	sending map[string]int // by webhook
	total   int
	group   sync.WaitGroup
}

// How much is sent at once by one process.
const (
	maxSending   = 64
	perWebhook   = 4
	perSlackHook = 1 // "no more than one message per second"; and more at once would only be refused
)

// New returns a Notifier and registers its metrics.
func New(c Config) *Notifier {
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Hold <= 0 {
		c.Hold = 30 * time.Second
	}
	return &Notifier{Config: c, metrics: newMetrics(c), wake: make(chan struct{}, 1), sending: map[string]int{}}
}

// CheckHost judges what can be judged of a receiver's host before it is asked. ErrDenied.
func (n *Notifier) CheckHost(host string) error { return n.Outbound.CheckHost(host) }

// CheckTLS reports whether a TLS setting can be used. ErrInvalid.
func (n *Notifier) CheckTLS(t tidewaiter.TLS) error {
	_, err := n.Outbound.Transport(t)
	return err
}

// Run makes and sends deliveries until ctx ends, and lets those under way end. In SQLite, where no other process can be at
// work, deliveries that a crash left being sent are taken up first.
func (n *Notifier) Run(ctx context.Context) {
	defer n.group.Wait()
	if n.Store.Dialect() == store.SQLite {
		err := n.Store.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseDeliveries(ctx, n.Now()) })
		n.complain(ctx, "take up deliveries", err)
	}
	tick := time.NewTicker(n.Poll)
	defer tick.Stop()
	for {
		n.complain(ctx, "make deliveries", n.Tell(ctx))
		n.complain(ctx, "send deliveries", n.dispatch(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.wake:
		}
	}
}

func (n *Notifier) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		n.Log.Warn("webhooks: could not "+what, "err", err)
	}
}

func (n *Notifier) wakeUp() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}
