// Package app plugs the parts together: Config in, New, Run until the context ends. It is the only package that sees all of
// them.
package app

import (
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Config says how to run. The zero value of a field is its documented default.
type Config struct {
	Listen         string // host:port; "127.0.0.1:8080"
	Data           string // folder for the database, keys and advisories; "./data"
	Database       string // postgres://… ; "" is SQLite in Data
	TLSCert        string // certificate file in PEM; with TLSKey
	TLSKey         string
	TLSSelfSigned  bool // make a certificate and keep it in Data
	Workers        int  // images and layers at once; 0 is two for each core
	Advisories     []string
	NoSecrets      bool // do not look for secrets in images
	AllowLoopback  bool // registries and receivers of webhooks on this machine, for demos and tests
	AdminUser      string
	AdminPassword  secret.Value            // of the first user; made up and printed when empty
	MasterKey      secret.Value            // instead of the key file in Data
	WorkerOnly     bool                    // work on the jobs of servers elsewhere: no APIs, and Listen, when set, is for metrics and health alone
	WorkerKey      secret.Value            // of a worker, instead of a master key: what secret.Keyring.WorkerKey returned
	Labels         []string                // which registries the process can reach: "zone=dmz"
	Lanes          map[tidewaiter.Lane]int // jobs of each lane at once, instead of what follows from Workers; a lane left out is not worked on
	StopGrace      time.Duration           // how long requests and jobs under way may take to finish at the end; 0 is 20 seconds
	AWSAccount     string                  // the AWS account this installation runs in, which roles of others trust; "" when there is none
	Version        string
	Log            *slog.Logger
	Announce       func(user, password string) // told a made-up password, once; may be nil
	AdvisoryPeriod time.Duration               // between two looks for new advisories; 0 is six hours
	EPSS           string                      // where EPSS scores come from, as advisory.FeedOptions says; "" fetches none
	KEV            string                      // and CISA's catalog of exploited vulnerabilities
	AdvisoryLogin  Login                       // for the registry the advisories come from; anonymous when empty

	Retention control.Retention // how many days what is over is kept; 0 is the default of each

	PublishEvery time.Duration // between two looks for results to push into registries; 0 is 30 seconds

	OpinionEvery time.Duration // between two looks for images to ask other scanners about; 0 is 30 seconds

	Limits   oci.Limits        // of what is sent to one registry's host with one credential
	Rotation discover.Rotation // of known tags, on registries whose lists do not say where they point

	// AllowPrivateWebhooks lets webhooks go to private addresses. Whoever may add a webhook can then reach into the network
	// this process is in.
	AllowPrivateWebhooks bool

	// Endpoints replaces the base URLs of vendors' APIs, as package connector documents; for private endpoints and tests.
	Endpoints map[string]string

	// Transport replaces the network registries are reached by, for tests; nil is the network, with the dial guard.
	Transport http.RoundTripper

	// PlainHTTPAdvisories fetches advisories without TLS. Their digest is verified all the same, but who can change the
	// answers can choose the digest: for registries on this machine.
	PlainHTTPAdvisories bool
}

// Login is a user name and a password.
type Login struct {
	Username string
	Password secret.Value
}

var awsAccount = regexp.MustCompile(`^[0-9]{12}$`)

// validate reports the first setting that cannot be as an ErrInvalid.
func (c Config) validate() error {
	if c.AWSAccount != "" && !awsAccount.MatchString(c.AWSAccount) {
		return tidewaiter.Invalid("aws-account-id", "%q is not the id of an AWS account", c.AWSAccount).WithFix("twelve digits")
	}
	if err := tidewaiter.ValidateLabels(c.Labels); err != nil {
		return err
	}
	if err := c.Retention.Validate(); err != nil {
		return err
	}
	if err := c.validateWorker(); err != nil {
		return err
	}
	return connector.CheckEndpoints(c.Endpoints)
}

func (c Config) withDefaults() Config {
	if c.Listen == "" && !c.WorkerOnly {
		c.Listen = "127.0.0.1:8080"
	}
	if c.Data == "" && !c.WorkerOnly {
		c.Data = "data"
	}
	if c.StopGrace <= 0 {
		c.StopGrace = 20 * time.Second
	}
	if c.AdminUser == "" {
		c.AdminUser = "admin"
	}
	if c.Workers <= 0 {
		c.Workers = 2 * runtime.NumCPU()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Announce == nil {
		c.Announce = func(string, string) {}
	}
	if c.AdvisoryPeriod <= 0 {
		c.AdvisoryPeriod = 6 * time.Hour
	}
	if c.PublishEvery <= 0 {
		c.PublishEvery = 30 * time.Second
	}
	if c.OpinionEvery <= 0 {
		c.OpinionEvery = 30 * time.Second
	}
	return c
}

// lanes says how many jobs of each lane run at once.
func (c Config) lanes() map[tidewaiter.Lane]int {
	if len(c.Lanes) > 0 {
		return c.Lanes
	}
	return lanes(c.Workers)
}

// lanes shares workers out. Interactive work, events and upkeep have workers of their own, so that they never wait behind
// scheduled work.
func lanes(workers int) map[tidewaiter.Lane]int {
	return map[tidewaiter.Lane]int{
		tidewaiter.LaneInteractive: max(2, workers/2), tidewaiter.LaneEvent: max(1, workers/2),
		tidewaiter.LaneFresh: workers, tidewaiter.LaneRescan: max(1, workers/2), tidewaiter.LaneSystem: 2,
	}
}
