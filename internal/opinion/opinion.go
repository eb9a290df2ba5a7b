// Package opinion asks scanners elsewhere for a second opinion on images: it is the client side of Harbor's pluggable scanner API, so that
// whatever Harbor can be given can be asked. What they say is stored beside what we found, and judges nothing.
//
// A sweep compares what was said with the images that tags of the scanners' registries show, and queues those that are missing,
// failed and due again, or old. A scanner is asked about a few images at once. What becomes of each is a row that says when its next step
// is due; a job does one step and makes the job of the next in the transaction that notes the first, so that no worker waits for a
// scanner, and a crash costs no more than one question.
package opinion

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The kinds of job.
const (
	JobStep  tidewaiter.JobKind = "opinion"       // does the next step about one image with one scanner; Args: Args
	JobSweep tidewaiter.JobKind = "opinion-sweep" // finds what is to be asked
)

// Args names an image and the scanner that is asked about it.
type Args struct {
	ImageID   int64  `json:"imageID"`
	ScannerID string `json:"scannerID"`
}

// Enqueuer puts jobs on the queue inside a transaction of the store.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *store.Tx, jobs ...tidewaiter.Job) error
}

// Loan is what a scanner can pull an image with.
type Loan struct {
	URL           string // of the registry
	Repository    string // as the registry names it
	Authorization secret.Value
	Insecure      bool // its certificate is not verified
}

// Lend returns what a scanner can pull from a repository of a declared registry with: see oci.Registry.
type Lend func(ctx context.Context, registryID, repository string, what tidewaiter.ScannerLend) (Loan, error)

// Config is what an Asker works with. Every field is required.
type Config struct {
	Store     *store.DB
	Jobs      Enqueuer
	Keyring   *secret.Keyring
	Outbound  *oci.Outbound
	Lend      Lend
	UserAgent string
	Now       func() time.Time
	Log       *slog.Logger
}

// Asker does the jobs of this package. It is safe for concurrent use.
type Asker struct {
	Config

	// turn is held by the one step that is being taken in this process. The lane has few workers, which the house's own upkeep needs: a
	// scanner that is slow to answer must not hold them all.
	turn sync.Mutex
}

// New returns an Asker.
func New(c Config) *Asker { return &Asker{Config: c} }

// The bounds of asking.
const (
	// maxWait is how long a scanner may take over one image.
	maxWait = time.Hour
	// maxFaults is how many answers in a row that cannot be used end a scan.
	maxFaults = 5
	// The bounds of the time between two looks for a report. Harbor reads it as an 8-bit integer.
	firstLook      = 2 * time.Second
	minRefresh     = time.Second
	defaultRefresh = 5 * time.Second
	maxRefresh     = 127 * time.Second
	maxLook        = 30 * time.Second // between two looks where the scanner asks for less
	// pause is how long nothing is asked of a scanner that could not be reached, unless it names a time itself, up to maxPause.
	pause    = time.Minute
	maxPause = time.Hour
	// hold is how long a step may take; after that whoever did it counts as dead.
	hold = 5 * time.Minute
	// nextTurn is after how long a job comes back that met another at work.
	nextTurn = 2 * time.Second
	// saveTime bounds storing what became of a step.
	saveTime = 10 * time.Second
)
