package qualys

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The statuses of schedules. Qualys has Created, Queued, Paused, Running, Completed, Finished, Error, Failed, Canceled,
// BaselineCreated, BaselineQueued, BaselineRunning and BaselineCompleted (and Unknown, which clients of v1.1 refuse). Ours: the
// first run of a schedule is not told from the others, so no Baseline; nothing is paused; and what went wrong is an Error.
const (
	statusCreated   = "Created"   // automatic, not due yet
	statusQueued    = "Queued"    // its scan waits
	statusRunning   = "Running"   // its scan lists the registry or looks at images
	statusCompleted = "Completed" // automatic: the last scan is over, the next will come
	statusFinished  = "Finished"  // on demand: the scan is over
	statusError     = "Error"     // the last scan went wrong; an automatic one will be tried again
	statusCanceled  = "Canceled"
)

// runningStates are the states of scans that are shown as Running.
var runningStates = []tidewaiter.ScanState{tidewaiter.ScanListing, tidewaiter.ScanScanning}

// scanStatuses and planStatuses are what a schedule is called whose scan, or whose last scan, is in a state.
var (
	scanStatuses = map[tidewaiter.ScanState]string{
		tidewaiter.ScanQueued: statusQueued, tidewaiter.ScanListing: statusRunning, tidewaiter.ScanScanning: statusRunning,
		tidewaiter.ScanCompleted: statusFinished, tidewaiter.ScanFailed: statusError, tidewaiter.ScanCanceled: statusCanceled,
	}
	planStatuses = map[tidewaiter.ScanState]string{
		"": statusCreated, tidewaiter.ScanQueued: statusQueued, tidewaiter.ScanListing: statusRunning, tidewaiter.ScanScanning: statusRunning,
		tidewaiter.ScanCompleted: statusCompleted, tidewaiter.ScanFailed: statusError,
		tidewaiter.ScanCanceled: statusCompleted, // that scan alone was stopped
	}
)

func planStatus(canceled bool, last tidewaiter.ScanState) string {
	if canceled {
		return statusCanceled
	}
	return planStatuses[last]
}

// statusList counts schedules by status.
func statusList(counts []control.ScheduleCount) map[string]int {
	out := map[string]int{}
	for _, c := range counts {
		if c.Planned {
			out[planStatus(c.Canceled, c.State)] += c.N
		} else {
			out[scanStatuses[c.State]] += c.N
		}
	}
	return out
}

// cancelable reports whether a schedule can be cancelled. Qualys: in the states Created, Queued, Paused, Running, BaselineQueued
// and BaselineRunning. Ours: an automatic one that will run again as well, whatever became of its last scan.
func (s *scheduled) cancelable() bool {
	if s.plan != nil {
		return !s.plan.Canceled
	}
	return slices.Contains([]string{statusQueued, statusRunning}, s.status())
}
