package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// serverFlags are the settings of a server, wherever it is started from.
type serverFlags struct {
	Listen     string            `help:"Address to serve on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Data       string            `help:"Folder for database, keys and advisories." default:"./data" type:"path" placeholder:"DIR"`
	Database   string            `help:"PostgreSQL to use instead of the SQLite database in the data folder." placeholder:"postgres://…"`
	TLSCert    string            `help:"Serve HTTPS with this certificate." name:"tls-cert" type:"path" placeholder:"FILE"`
	TLSKey     string            `help:"Its private key." name:"tls-key" type:"path" placeholder:"FILE"`
	SelfSigned bool              `help:"Serve HTTPS with a certificate of our own making." name:"tls-self-signed"`
	Workers    int               `help:"Images and layers worked on at once; 0 is two for each core." default:"0" placeholder:"N"`
	Label      []string          `help:"What this machine can reach: registries that ask for labels go to workers that have them. May be given again." placeholder:"KEY=VALUE"`
	Advisories []string          `help:"OCI references of the advisory database, tried in order." placeholder:"REF"`
	PlainHTTP  bool              `help:"Fetch the advisories without TLS." name:"advisories-plain-http"`
	NoSecrets  bool              `help:"Do not look for secrets in files. The configuration of an image is looked at all the same."`
	Loopback   bool              `help:"Let registries, and receivers of webhooks, be on this machine." name:"allow-loopback-registries"`
	Private    bool              `help:"Let webhooks go to private addresses." name:"allow-private-webhooks"`
	AWSAccount string            `help:"The AWS account this installation runs in, which the roles of other accounts are to trust." name:"aws-account-id" placeholder:"ID"`
	Endpoints  map[string]string `help:"Address to ask in place of a vendor's own, such as ecr=https://vpce-….amazonaws.com; repeat for more." name:"endpoint" placeholder:"NAME=URL"`

	RegistryRequests int           `help:"Requests under way at once to one host with one credential." default:"8" placeholder:"N"`
	RegistryRate     float64       `help:"Requests a second to one host with one credential, from this process; 0 is no limit." default:"50" placeholder:"N"`
	RecheckWithin    time.Duration `help:"Ask again where each known tag points within this time, on registries whose lists do not say." default:"24h" placeholder:"24h"`
	RecheckMutable   time.Duration `help:"The same for names that people move, as latest or 1.2." default:"1h" placeholder:"1h"`
	RecheckAtMost    int           `help:"Known tags to ask for in one listing; 0 is no limit." default:"0" placeholder:"N"`

	feedFlags
	retentionFlags

	AdminUser     string       `help:"Name of the first user." default:"admin"`
	AdminPassword secret.Value `help:"Password of the first user; made up and printed once when empty." env:"TIDEWAITER_ADMIN_PASSWORD" placeholder:"…"`
	MasterKey     secret.Value `help:"Content of the key file, instead of master.key in the data folder." env:"TIDEWAITER_MASTER_KEY" placeholder:"…"`
}

func (f serverFlags) config(log *slog.Logger) app.Config {
	return app.Config{
		Listen: f.Listen, Data: f.Data, Database: f.Database, TLSCert: f.TLSCert, TLSKey: f.TLSKey, TLSSelfSigned: f.SelfSigned,
		Workers: f.Workers, Labels: f.Label, Advisories: f.Advisories, NoSecrets: f.NoSecrets, AllowLoopback: f.Loopback, PlainHTTPAdvisories: f.PlainHTTP,
		AWSAccount: f.AWSAccount, Endpoints: f.Endpoints, Limits: f.limits(), AllowPrivateWebhooks: f.Private,
		Rotation: discover.Rotation{Within: f.RecheckWithin, Mutable: f.RecheckMutable, AtMost: f.RecheckAtMost},
		EPSS:     feedSource(f.EPSS), KEV: feedSource(f.KEV), Retention: f.retention(),
		AdminUser: f.AdminUser, AdminPassword: f.AdminPassword, MasterKey: f.MasterKey, Version: version, Log: log,
	}
}

func (f serverFlags) limits() oci.Limits {
	l := oci.Limits{Concurrent: f.RegistryRequests, PerSecond: f.RegistryRate, Burst: int(f.RegistryRate)}
	if l.PerSecond <= 0 {
		l.PerSecond = -1
	}
	return l
}

type serveCommand struct {
	serverFlags
}

// Help explains what a first start does.
func (serveCommand) Help() string {
	return `Serves both vendors' APIs on one port and works on scans in the same process.

The first start makes the data folder, a key file in it (keep it: credentials open only with it) and an administrator. Without
--admin-password the password is made up and printed once.

SIGTERM ends it in good order: requests and jobs under way finish, the rest goes on at the next start.`
}

// Run serves until it is told to stop.
func (c serveCommand) Run(ctx context.Context, s streams, log *slog.Logger) error {
	cfg := c.config(log)
	cfg.Announce = func(user, password string) {
		sayf(s.err, "\nFirst start. Log in as %q with the password %q. It is not shown again.\n\n", user, password)
	}
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	log.Info("serving", "url", a.URL(), "version", version)
	return a.Run(ctx)
}

// feedSource is where a feed comes from; "" for none.
func feedSource(flag string) string {
	if flag == "none" {
		return ""
	}
	return flag
}
