package app

import (
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openWebhooks prepares what tells others.
func (a *App) openWebhooks(keyring *secret.Keyring, metrics prometheus.Registerer) *notify.Notifier {
	outbound := oci.NewOutbound(oci.OutboundOptions{AllowLoopback: a.cfg.AllowLoopback, AllowPrivate: a.cfg.AllowPrivateWebhooks})
	a.onClose(func() error { outbound.Close(); return nil })
	a.notifier = notify.New(notify.Config{
		Store: a.store, Keyring: keyring, Outbound: outbound, UserAgent: "tidewaiter/" + a.cfg.Version, Now: time.Now,
		NewID: uuid.NewString, Jitter: rand.Float64, Log: a.cfg.Log, Metrics: metrics,
	})
	return a.notifier
}

// tidyWebhooks has deliveries that ended long ago removed.
func (a *App) tidyWebhooks() {
	a.queue.Handle(control.JobDeliveryRetention, a.control.WorkDeliveryRetention)
	a.queue.Periodic("webhooks", time.Hour, tidewaiter.Job{Kind: control.JobDeliveryRetention, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
}
