package tidewaiter

import (
	"encoding/json"
	"time"
)

// JobKind says what a job does. The kinds are declared by the packages that handle them: two to 127 letters, digits,
// underscores or dashes, beginning with a letter.
type JobKind string

// What a job gets when it does not say.
const (
	DefaultMaxAttempts = 5
	DefaultJobTimeout  = 10 * time.Minute
)

// Job is one piece of work to be done in the background: one page of a listing, one tag, one layer, one image; minutes
// at most. Any job may run twice, so doing one again must change nothing.
type Job struct {
	Kind JobKind
	Lane Lane
	Args any // JSON; nil is null

	// UniqueKey keeps the same work from being queued twice: while a job of the same kind, lane and key waits for its
	// first attempt, another is not inserted. Once it runs, the same work may be queued again. "" inserts always.
	UniqueKey string
	// RegistryID is the registry the job works for, "" when it works for none. Cancelling goes by it.
	RegistryID string
	// Turn is the registry whose turn it is when the job runs; "" is RegistryID. A lane's workers take from registries in
	// rotation, so that one with many jobs does not keep others waiting.
	Turn string
	// Reach says what the job wants of the registry of its turn.
	Reach Reach

	RunAt       time.Time     // not before; zero is at once
	MaxAttempts int           // tries before the job fails for good; 0 is DefaultMaxAttempts
	Timeout     time.Duration // of one attempt; 0 is DefaultJobTimeout
}

// Reach says what a job wants of a registry. One that talks to it goes only to workers that the registry's labels allow,
// and waits while the registry is paused.
type Reach string

// The reaches.
const (
	ReachNone Reach = ""     // nothing: it works on what is stored
	ReachList Reach = "list" // it talks to the registry
	ReachPull Reach = "pull" // it talks to the registry and counts as one of Registry.Parallel
)

// JobRun is one attempt at a job.
type JobRun struct {
	ID          int64
	Kind        JobKind
	Lane        Lane
	Attempt     int // from 1; waiting, shutdowns and crashes do not count
	MaxAttempts int
	Args        json.RawMessage
	RegistryID  string
	Turn        string // the registry on whose behalf
	CreatedAt   time.Time
}

// Last reports whether the job fails for good when this attempt fails.
func (r JobRun) Last() bool { return r.Attempt >= r.MaxAttempts }
