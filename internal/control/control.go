// Package control holds the use cases every surface calls: our own API, both vendors', the command line and the web UI.
// A surface translates words and shapes; what happens is decided here.
//
// Reads go straight to the Inventory. Whatever changes something is a method of Control: it validates, stores rows and
// the jobs that follow from them in one transaction, and leaves a line in the audit log.
package control

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Inventory is what the surfaces may read. It is the store's reading half.
type Inventory interface {
	Registry(ctx context.Context, id string) (*tidewaiter.Registry, error)
	Registries(ctx context.Context, f store.RegistryFilter) ([]*tidewaiter.Registry, string, error)
	CountRegistries(ctx context.Context, f store.RegistryFilter) (int, error)
	RegistryTotals(ctx context.Context, ids []string) (map[string]store.Totals, error)
	RegistryRepositories(ctx context.Context, registryID string, f store.RepositoryFilter) ([]store.RegistryRepository, string, error)
	RegistryTags(ctx context.Context, registryID, repository string, p store.Page) ([]tidewaiter.Tag, string, error)
	Credential(ctx context.Context, id string) (*tidewaiter.Credential, error)
	Credentials(ctx context.Context, f store.CredentialFilter) ([]*tidewaiter.Credential, string, error)
	CredentialUsages(ctx context.Context, id string) ([]*tidewaiter.Registry, error)
	Scan(ctx context.Context, id string) (*tidewaiter.Scan, error)
	Scans(ctx context.Context, f store.ScanFilter) ([]*tidewaiter.Scan, string, error)
	ScansByID(ctx context.Context, ids []string) (map[string]*tidewaiter.Scan, error)
	Plan(ctx context.Context, id string) (*tidewaiter.Plan, error)
	Plans(ctx context.Context, registryID string) ([]*tidewaiter.Plan, error)
	ScheduleCounts(ctx context.Context, registryIDs []string) (map[string][]store.ScheduleCount, error)
	LatestScans(ctx context.Context, registryIDs []string) (map[string]store.LatestScan, error)
	Results(ctx context.Context, f store.ResultFilter) ([]store.Row, string, error)
	CountResults(ctx context.Context, f store.ResultFilter) (int, error)
	Images(ctx context.Context, f store.ImageFilter) ([]*store.ImageRow, string, error)
	CountImages(ctx context.Context, f store.ImageFilter) (int, error)
	ImageByDigest(ctx context.Context, digest string) (*tidewaiter.Image, error)
	Result(ctx context.Context, imageID int64) (*tidewaiter.Result, error)
	ChangesOfImage(ctx context.Context, imageID int64, p store.Page) ([]tidewaiter.ImageChange, string, error)
	PublicationsOf(ctx context.Context, imageID int64) ([]tidewaiter.Publication, error)
	Policy(ctx context.Context, kind tidewaiter.PolicyKind) (*tidewaiter.Policy, error)
	Collections(ctx context.Context) ([]*tidewaiter.Collection, error)
	Setting(ctx context.Context, key string) (string, error)
}

// The filters and rows of the Inventory, so that surfaces need not know the store.
type (
	RegistryFilter     = store.RegistryFilter
	RepositoryFilter   = store.RepositoryFilter
	CredentialFilter   = store.CredentialFilter
	ScanFilter         = store.ScanFilter
	ResultFilter       = store.ResultFilter
	ImageFilter        = store.ImageFilter
	ImageSort          = store.ImageSort
	ImageWhere         = store.ImageWhere
	NameWhere          = store.NameWhere
	TimeRange          = store.TimeRange
	Page               = store.Page
	Row                = store.Row
	ImageRow           = store.ImageRow
	Totals             = store.Totals
	LatestScan         = store.LatestScan
	ScheduleCount      = store.ScheduleCount
	RegistryRepository = store.RegistryRepository
)

// Enqueuer puts jobs on the queue inside a transaction of the store.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *store.Tx, jobs ...tidewaiter.Job) error
	// CancelRegistry stops what waits and runs for a registry.
	CancelRegistry(ctx context.Context, registryID string) error
}

// Prober asks a registry step by step whether it lets us in.
type Prober interface {
	// Probe uses the registry as given, stored or not, with the credential as given; secret is empty when there is none.
	Probe(ctx context.Context, r *tidewaiter.Registry, c *tidewaiter.Credential, s secret.Value) []oci.Step
}

// AdvisoryState says which advisories are in use.
type AdvisoryState struct {
	Current   *tidewaiter.Advisories // nil when there are none yet
	CheckedAt time.Time
	Error     string // of the last attempt to fetch
}

// Config is what Control works with. Every field is required, but for Metrics.
type Config struct {
	Store      *store.DB
	Jobs       Enqueuer
	Lanes      Lanes
	Keyring    *secret.Keyring
	Prober     Prober
	Previewer  Previewer
	Advisories func() AdvisoryState
	VerifyPush func(ctx context.Context, token, audience, email string) error // a token of Pub/Sub
	Queues     QueueChecker
	Webhooks   WebhookSender
	Scanners   ScannerAsker
	RejudgeJob func(version string, force bool) tidewaiter.Job // brings the fleet to a version of the advisories
	Metrics    prometheus.Registerer                           // nil counts for nobody
	Now        func() time.Time
	NewID      func() string // UUIDs
	Log        *slog.Logger
}

// Control carries out the use cases. It is safe for concurrent use.
type Control struct {
	Inventory
	store      *store.DB
	jobs       Enqueuer
	lanes      Lanes
	keyring    *secret.Keyring
	prober     Prober
	previewer  Previewer
	advisories func() AdvisoryState
	verifyPush func(ctx context.Context, token, audience, email string) error
	queues     QueueChecker
	deliveries deliveryBatch
	events     *eventMetrics
	room       *semaphore.Weighted // of deliveries on their way
	sender     WebhookSender
	asker      ScannerAsker
	rejudgeJob func(version string, force bool) tidewaiter.Job
	now        func() time.Time
	newID      func() string
	log        *slog.Logger
	waits      flights
	admission  atomic.Pointer[AdmissionRules] // as last read
}

// New returns a Control.
func New(c Config) *Control {
	out := &Control{
		Inventory: c.Store, store: c.Store, jobs: c.Jobs, lanes: c.Lanes, keyring: c.Keyring, prober: c.Prober, previewer: c.Previewer,
		advisories: c.Advisories, verifyPush: c.VerifyPush, queues: c.Queues, sender: c.Webhooks, asker: c.Scanners, rejudgeJob: c.RejudgeJob, events: newEventMetrics(c.Metrics), room: newEventRoom(), now: c.Now, newID: c.NewID, log: c.Log,
	}
	out.deliveries.store = out.storeBatch
	return out
}

// Advisories says which advisories are in use.
func (c *Control) Advisories() AdvisoryState { return c.advisories() }

// audit records who did what, in the transaction that does it.
func (c *Control) audit(ctx context.Context, tx *store.Tx, action, subject, detail string) error {
	return tx.Audit(ctx, store.AuditEntry{At: c.now(), Actor: ActorFrom(ctx), Action: action, Subject: subject, Detail: detail})
}

type actorKey struct{}

// WithActor notes who a request comes from, for the audit log.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// ActorFrom returns who a request comes from: "system" when nobody does.
func ActorFrom(ctx context.Context) string {
	if name, ok := ctx.Value(actorKey{}).(string); ok {
		return name
	}
	return "system"
}
