package scan

import (
	"context"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RejudgeArgs says which images to judge again: those not yet judged by a version of the advisories, from an image on.
type RejudgeArgs struct {
	Advisories string `json:"advisories"`
	After      int64  `json:"after,omitempty"`
}

// rejudgeBatch is how many images one job puts on the queue before it hands over to the next.
const rejudgeBatch = 1000

// NewRejudgeJob returns the job that has every image judged by the advisories of a version.
func NewRejudgeJob(version string) tidewaiter.Job {
	return rejudgeJob(RejudgeArgs{Advisories: version})
}

func rejudgeJob(a RejudgeArgs) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobRejudge, Lane: tidewaiter.LaneSystem, Args: a, Timeout: time.Minute,
		UniqueKey: fmt.Sprintf("%s/%d", a.Advisories, a.After)}
}

// rejudge walks the images that other advisories judged, a batch a job, and queues each in the rescan lane.
func (p *Pipeline) rejudge(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[RejudgeArgs](run)
	if err != nil {
		return err
	}
	if current, ok := p.Matcher.Advisories(); !ok || current.Version != a.Advisories {
		return nil // a newer version has a walk of its own
	}
	ids, err := p.Store.ImagesNotJudgedBy(ctx, a.Advisories, a.After, rejudgeBatch)
	if err != nil || len(ids) == 0 {
		return err
	}
	jobs := make([]tidewaiter.Job, 0, len(ids)+1)
	for _, id := range ids {
		jobs = append(jobs, judgeJob(tidewaiter.LaneRescan, id))
	}
	if len(ids) == rejudgeBatch {
		jobs = append(jobs, rejudgeJob(RejudgeArgs{Advisories: a.Advisories, After: ids[len(ids)-1]}))
	}
	return p.Store.Update(ctx, func(tx *store.Tx) error { return p.Jobs.Enqueue(ctx, tx, jobs...) })
}
