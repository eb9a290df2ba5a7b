package app

import (
	"context"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/harbor"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// handleHarbor plugs the scans that a Harbor asks for into the queue.
func (a *App) handleHarbor(pipeline *scan.Pipeline) {
	a.queue.Handle(control.JobHarborScan, pipeline.Harbor)
	a.queue.HandleFailure(control.JobHarborScan, pipeline.HarborFailed)
}

// openHarbor makes what the jobs of the calendar need, and the surface itself.
func (a *App) openHarbor() http.Handler {
	a.queue.Handle(control.JobHarborSweep, a.control.WorkHarborSweep)
	a.queue.Periodic("harbor", 10*time.Minute, tidewaiter.Job{Kind: control.JobHarborSweep, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
	return harbor.New(harbor.Config{Control: a.control, Log: a.cfg.Log, Now: time.Now, Version: a.cfg.Version})
}

// source opens what the pipeline pulls from: a declared registry with its credential, or that of a scan a Harbor asked
// for, with the login lent for it.
func (a *App) source(ctx context.Context, connections *connector.Connector, id string) (scan.Source, error) {
	scanID, ok := scan.HarborScanOf(id)
	if !ok {
		return connections.OpenLive(ctx, id)
	}
	s, err := a.store.HarborScan(ctx, scanID)
	if err != nil {
		return nil, err
	}
	declared, _, err := a.store.Registries(ctx, store.RegistryFilter{Host: tidewaiter.HostOf(s.URL), Page: store.Page{Limit: 1}})
	if err != nil {
		return nil, err
	}
	return connections.OpenHarborScan(s, declared)
}
