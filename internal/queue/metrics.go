package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	statsTimeout = 5 * time.Second
	statsKept    = 5 * time.Second // however often the metrics are asked for
)

// metrics measures what jobs do. A nil one measures nothing.
type metrics struct {
	ends    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(q *Queue) (*metrics, error) {
	if q.cfg.Registry == nil {
		return nil, nil
	}
	m := &metrics{
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tidewaiter_job_attempts_total", Help: "Attempts at jobs that ended, by what became of them.",
		}, []string{"kind", "lane", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tidewaiter_job_seconds", Help: "How long attempts at jobs took.", Buckets: prometheus.ExponentialBuckets(0.005, 4, 10),
		}, []string{"kind"}),
	}
	jobs := &laneCollector{queue: q,
		jobs:   prometheus.NewDesc("tidewaiter_jobs", "Jobs of all processes.", []string{"lane", "state"}, nil),
		oldest: prometheus.NewDesc("tidewaiter_job_wait_seconds", "How long the first in line has been waiting.", []string{"lane"}, nil),
	}
	return m, errors.Join(q.cfg.Registry.Register(m.ends), q.cfg.Registry.Register(m.seconds), q.cfg.Registry.Register(jobs))
}

func (m *metrics) ended(run tidewaiter.JobRun, o outcome, took time.Duration) {
	if m == nil {
		return
	}
	m.ends.WithLabelValues(string(run.Kind), string(run.Lane), string(o)).Inc()
	m.seconds.WithLabelValues(string(run.Kind)).Observe(took.Seconds())
}

// laneCollector shows Stats as metrics.
type laneCollector struct {
	queue        *Queue
	jobs, oldest *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last map[tidewaiter.Lane]Stats
}

// Describe names the metrics.
func (c *laneCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.jobs
	out <- c.oldest
}

// Collect reads them, from the database when the last time is long enough ago.
func (c *laneCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.queue.now()
	if c.last == nil || now.Sub(c.at) >= statsKept {
		ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
		defer cancel()
		stats, err := c.queue.Stats(ctx)
		if err != nil {
			out <- prometheus.NewInvalidMetric(c.jobs, err)
			return
		}
		c.last, c.at = stats, now
	}
	for lane, s := range c.last {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{string(lane)}, labels...)...)
		}
		gauge(c.jobs, float64(s.Waiting), "waiting")
		gauge(c.jobs, float64(s.Later), "later")
		gauge(c.jobs, float64(s.Running), "running")
		wait := 0.0
		if !s.Oldest.IsZero() {
			wait = max(now.Sub(s.Oldest).Seconds(), 0)
		}
		gauge(c.oldest, wait)
	}
}
