package app

import (
	"context"
	"math"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openFeeds plugs in what says which vulnerabilities are attacked. The feeds lie beside the advisories, where the command line
// finds them.
func (a *App) openFeeds(client *oci.Client, metrics prometheus.Registerer) {
	a.feeds = advisory.NewFeeds(advisory.FeedOptions{
		Dir: filepath.Join(a.cfg.Data, "feeds"), Taker: a.control, Interval: a.cfg.AdvisoryPeriod, UserAgent: "tidewaiter/" + a.cfg.Version,
		Sources:   map[tidewaiter.FeedKind]string{tidewaiter.FeedEPSS: a.cfg.EPSS, tidewaiter.FeedKEV: a.cfg.KEV},
		Artifacts: oci.NewArtifacts(client, oci.Anonymous, a.cfg.PlainHTTPAdvisories),
	})
	metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tidewaiter_database_bytes",
		Help: "What the database takes on disk, indexes included."}, a.databaseBytes))
	a.queue.Handle(control.JobTotals, a.control.WorkTotals)
	a.queue.Periodic("totals", 10*time.Minute, tidewaiter.Job{Kind: control.JobTotals, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
}

// databaseBytes is asked for with the metrics. It is not a number while the database does not answer.
func (a *App) databaseBytes() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, err := a.store.Size(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}
