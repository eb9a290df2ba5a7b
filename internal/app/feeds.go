package app

import (
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openFeeds plugs in what says which vulnerabilities are attacked. The feeds lie beside the advisories, where the command line
// finds them.
func (a *App) openFeeds(client *oci.Client) {
	a.feeds = advisory.NewFeeds(advisory.FeedOptions{
		Dir: filepath.Join(a.cfg.Data, "feeds"), Taker: a.control, Interval: a.cfg.AdvisoryPeriod, UserAgent: "tidewaiter/" + a.cfg.Version,
		Sources:   map[tidewaiter.FeedKind]string{tidewaiter.FeedEPSS: a.cfg.EPSS, tidewaiter.FeedKEV: a.cfg.KEV},
		Artifacts: oci.NewArtifacts(client, oci.Anonymous, a.cfg.PlainHTTPAdvisories),
	})
	a.queue.Handle(control.JobTotals, a.control.WorkTotals)
	a.queue.Periodic("totals", 10*time.Minute, tidewaiter.Job{Kind: control.JobTotals, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
}
