package notify

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// metrics measures what becomes of deliveries.
type metrics struct{ attempts *prometheus.CounterVec }

func newMetrics(c Config) *metrics {
	m := &metrics{attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tidewaiter_webhook_attempts_total", Help: "Attempts to send webhook deliveries, by what became of them.",
	}, []string{"outcome"})}
	c.Metrics.MustRegister(m.attempts, &collector{Config: c,
		deliveries: prometheus.NewDesc("tidewaiter_webhook_deliveries", "Webhook deliveries that are kept, of all processes.", []string{"state"}, nil)})
	return m
}

func (m *metrics) ended(o outcome, over bool) {
	what := "failed"
	switch {
	case o.ok():
		what = "done"
	case over:
		what = "dead"
	}
	m.attempts.WithLabelValues(what).Inc()
}

const (
	countTimeout = 5 * time.Second
	countKept    = 15 * time.Second // however often the metrics are asked for
)

// collector counts deliveries when the metrics are asked for.
type collector struct {
	Config
	deliveries *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last map[store.DeliveryState]int
}

// Describe names the metric.
func (c *collector) Describe(out chan<- *prometheus.Desc) { out <- c.deliveries }

// Collect reads it, from the database when the last time is long enough ago.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.Now(); c.last == nil || now.Sub(c.at) >= countKept {
		ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
		defer cancel()
		counts, err := c.Store.DeliveryCounts(ctx, "")
		if err != nil {
			out <- prometheus.NewInvalidMetric(c.deliveries, err)
			return
		}
		c.last, c.at = counts, now
	}
	for _, state := range []store.DeliveryState{store.DeliveryWaiting, store.DeliverySending, store.DeliveryDone, store.DeliveryDead} {
		out <- prometheus.MustNewConstMetric(c.deliveries, prometheus.GaugeValue, float64(c.last[state]), string(state))
	}
}
