package app

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openCalendar plugs what comes back by itself into the queue. Each comes once a period, however many servers there are.
func (a *App) openCalendar() {
	a.queue.Handle(control.JobSchedule, a.control.WorkSchedule)
	a.queue.Handle(control.JobRetention, a.control.WorkRetention)
	a.queue.Handle(control.JobEventRetention, a.control.WorkEventRetention)
	a.queue.Periodic("schedule", time.Minute, tidewaiter.Job{Kind: control.JobSchedule, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
	a.queue.Periodic("retention", time.Hour, tidewaiter.Job{Kind: control.JobRetention, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
	a.queue.Periodic("events", time.Hour, tidewaiter.Job{Kind: control.JobEventRetention, Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
	a.queue.Periodic("policies", time.Hour, policy.TimedApplyJob())
}
