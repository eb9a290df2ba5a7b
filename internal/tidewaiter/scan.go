package tidewaiter

import "time"

// ScanState is where a scan is on its way.
type ScanState string

// The scan states. Queued, listing and scanning are on the way; the others are final.
const (
	ScanQueued    ScanState = "queued"
	ScanListing   ScanState = "listing"
	ScanScanning  ScanState = "scanning" // the listing is over, images are still being judged
	ScanCompleted ScanState = "completed"
	ScanFailed    ScanState = "failed"
	ScanCanceled  ScanState = "canceled"
)

// Done reports whether the state is final.
func (s ScanState) Done() bool { return s == ScanCompleted || s == ScanFailed || s == ScanCanceled }

// Lane is how urgent work is. Each lane has workers of its own, so that no lane waits behind another.
type Lane string

// The lanes, most urgent first.
const (
	LaneInteractive Lane = "interactive" // somebody waits for the answer
	LaneEvent       Lane = "event"       // a push event said so
	LaneFresh       Lane = "fresh"       // a scheduled scan found something new
	LaneRescan      Lane = "rescan"      // known images, judged again
	LaneSystem      Lane = "system"      // the house's own upkeep
)

// Lanes lists all lanes, most urgent first.
func Lanes() []Lane { return []Lane{LaneInteractive, LaneEvent, LaneFresh, LaneRescan, LaneSystem} }

// Scan is one run over one Registry.
type Scan struct {
	ID         string // UUID
	RegistryID string
	State      ScanState
	Lane       Lane
	OnDemand   bool  // asked for by somebody, in contrast to a schedule
	Scope      Scope // what this run looks at; the registry's own scope unless the caller gave another
	Force      bool  // judge known images again too
	Target     *Target
	Partial    bool   // it looks at a part of the registry's own scope, or beside another scan: it never decides what is gone
	Name       string // as whoever asked for it calls it; may be empty
	ScheduleID string // the Plan that started it; "" when none did

	Repositories       int // found in scope
	RepositoriesListed int // of these, listed to the end
	TagsSeen           int
	TagsSelected       int
	ImagesTotal        int // tags whose image this scan answers for
	ImagesDone         int // of these judged
	ImagesFailed       int // of these failed

	Errors []ScanError // the most recent ones, at most MaxScanErrors
	Error  string      // why the scan failed; "" otherwise
	// Complete reports whether everything in scope was listed to the end. Only then may a tag be concluded to be gone.
	Complete bool

	CreatedAt time.Time
	StartedAt time.Time // listing began
	ListedAt  time.Time // listing ended, scanning began
	EndedAt   time.Time
	UpdatedAt time.Time
}

// Target narrows a scan to one tag or digest.
type Target struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest,omitempty"`
}

// MaxScanErrors is how many errors a scan keeps. Prisma: statuses show the 10 most recent; ours keeps more for people.
const MaxScanErrors = 50

// ScanError is something that went wrong in a scan without stopping the rest of it.
type ScanError struct {
	Kind       ErrorKind `json:"kind"`
	Repository string    `json:"repository,omitempty"`
	Tag        string    `json:"tag,omitempty"`
	Text       string    `json:"text"`
	At         time.Time `json:"at"`
	// Passing says that the scan waits for it to be over. It is taken away when the scan completes.
	Passing bool `json:"passing,omitempty"`
}
