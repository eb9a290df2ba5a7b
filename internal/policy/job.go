package policy

import (
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// JobApply has every image judged again by the policies in force, from what is stored of it.
const JobApply tidewaiter.JobKind = "policies"

// ApplyArgs says where a walk over the images goes on.
type ApplyArgs struct {
	Generation int64 `json:"generation,omitempty"` // of the policies the walk began with
	After      int64 `json:"after,omitempty"`      // the last image that was looked at; 0 begins a walk
	Timed      bool  `json:"timed,omitempty"`      // nothing changed but the time: walk only when that matters
}

// NewApplyJob returns the job that begins a walk. However many changes ask for one, one waits: it sees all of them.
func NewApplyJob() tidewaiter.Job { return applyJob(ApplyArgs{}, "walk") }

// TimedApplyJob returns the job that begins a walk when verdicts depend on the time: every now and then a grace period or
// an exception ends without anybody changing a policy.
func TimedApplyJob() tidewaiter.Job { return applyJob(ApplyArgs{Timed: true}, "timed") }

// Timed reports whether verdicts under a policy change as time passes.
func Timed(p *tidewaiter.Policy) bool {
	return p != nil && slices.ContainsFunc(p.Rules, func(r tidewaiter.Rule) bool {
		return !r.Disabled && (r.Grace.Days > 0 || len(r.Grace.BySeverity) > 0 ||
			slices.ContainsFunc(r.Exceptions, func(e tidewaiter.Exception) bool { return !e.Expires.IsZero() }))
	})
}

// NextApplyJob returns the job that goes on with a walk.
func NextApplyJob(a ApplyArgs) tidewaiter.Job { return applyJob(a, "") }

func applyJob(a ApplyArgs, key string) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobApply, Lane: tidewaiter.LaneSystem, Args: a, UniqueKey: key, Timeout: 10 * time.Minute}
}

// GenerationKey is the setting that counts the changes of policies and whatever else a verdict depends on. A verdict is
// stored only while the count is what it was when the policies were read.
const GenerationKey = "policy.generation"

// The settings that hold what is declared beside the policies, as ParseBaseImages and ParseTags read it.
const (
	BaseImagesKey = "policy.baseImages"
	TagsKey       = "policy.tags"
)
