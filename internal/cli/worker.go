package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type workerCommand struct {
	Database string         `help:"The servers' PostgreSQL database." required:"" placeholder:"postgres://…"`
	Label    []string       `help:"What this worker can reach: registries that ask for labels go to workers that have them. May be given again." placeholder:"KEY=VALUE"`
	Workers  int            `help:"Images and layers worked on at once; 0 is two for each core." default:"0" placeholder:"N"`
	Lanes    map[string]int `help:"Jobs at once by lane, instead: interactive, event, fresh, rescan, system. A lane left out is not worked on." mapsep:"," placeholder:"LANE=N,…"`

	WorkerKey secret.Value `help:"The key that opens pull credentials, from tidewaiter worker-key. Better in the environment than on the command line." env:"TIDEWAITER_WORKER_KEY,TIDEWAITER_MASTER_KEY" placeholder:"…"`
	KeyFile   string       `help:"Read that key from a file in memory, such as a mounted secret, or from /dev/fd/N." name:"worker-key-file" placeholder:"FILE"`

	Data          string        `help:"Folder for advisories; a free one in the user's cache when not given. Nothing in it has to be kept." type:"path" placeholder:"DIR"`
	Advisories    []string      `help:"OCI references of the advisory database, tried in order; those of the servers when not given." placeholder:"REF"`
	PlainHTTP     bool          `help:"Fetch the advisories without TLS." name:"advisories-plain-http"`
	NoSecrets     bool          `help:"Do not look for secrets in files. Set it as on the servers."`
	Loopback      bool          `help:"Let registries be on this machine." name:"allow-loopback-registries"`
	MetricsListen string        `help:"Serve /metrics, /healthz and /readyz here." placeholder:"HOST:PORT"`
	Drain         time.Duration `help:"How long jobs under way may take to finish at the end." default:"20s"`
}

// Help explains what a worker needs and where it belongs.
func (workerCommand) Help() string {
	return `Works on the jobs of servers elsewhere, and serves nothing. Any number of workers share the servers' PostgreSQL database; add them
where more is to be scanned, or where a registry is:

    tidewaiter worker --database postgres://tidewaiter@db/tidewaiter --label zone=dmz

A registry that asks for the label zone=dmz is then listed and pulled by this worker, and by others that have it, alone. While
none of them is there its scans wait and say so. Every worker also has the label host=NAME-OF-ITS-MACHINE.

The key. Pull credentials are sealed in the database. A worker opens them with a key of its own kind, which the server prints:

    tidewaiter worker-key --data ./data

It opens stored credentials and nothing else: nobody can log in with it. Give it as TIDEWAITER_WORKER_KEY, or as a file that
is only in memory: a mounted secret (mode 0400), /dev/fd/3, or systemd's LoadCredential=worker-key:…, which is found by itself.
The worker keeps it in memory and never writes it down.

Advisories are fetched once into --data and matched by in memory. A worker judges images only by the version the servers go by.

SIGTERM ends it in good order: jobs under way have --drain to finish, the rest are given back and lose no attempt. A worker that is
killed loses nothing either: others take its jobs up within seconds.

Of a server and its workers, versions may differ by one during an upgrade; upgrade the servers first.`
}

// Run works until it is told to stop.
func (c workerCommand) Run(ctx context.Context, s streams, log *slog.Logger) error {
	cfg := app.Config{
		WorkerOnly: true, Database: c.Database, Labels: c.Label, Workers: c.Workers, WorkerKey: c.WorkerKey, Data: c.Data,
		Advisories: c.Advisories, PlainHTTPAdvisories: c.PlainHTTP, NoSecrets: c.NoSecrets, AllowLoopback: c.Loopback,
		Listen: c.MetricsListen, StopGrace: c.Drain, Version: version, Log: log,
	}
	if err := c.readKey(&cfg); err != nil {
		return err
	}
	for lane, n := range c.Lanes {
		if cfg.Lanes == nil {
			cfg.Lanes = map[tidewaiter.Lane]int{}
		}
		cfg.Lanes[tidewaiter.Lane(lane)] = n
	}
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	log.Info("working", "labels", c.Label, "metrics", a.URL(), "version", version)
	return a.Run(ctx)
}

// maxKeyBytes bounds a key.
const maxKeyBytes = 1 << 20

// readKey takes the key from the file, if one was named or systemd has left one.
func (c workerCommand) readKey(cfg *app.Config) error {
	path := c.KeyFile
	if path == "" && c.WorkerKey.IsZero() {
		if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
			path = filepath.Join(dir, "worker-key")
		}
	}
	if path == "" {
		return nil
	}
	f, err := os.Open(path) //nolint:gosec // whoever starts the worker says which
	if err != nil {
		return tidewaiter.Invalid("worker-key-file", "the key cannot be read: %v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return tidewaiter.Invalid("worker-key-file", "the key cannot be read: %v", err)
	}
	if perm := info.Mode().Perm(); info.Mode().IsRegular() && perm&0o077 != 0 {
		return tidewaiter.Invalid("worker-key-file", "others than its owner have access to %s (mode %04o)", path, perm).WithFix("chmod 400 %s", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyBytes))
	if err != nil {
		return tidewaiter.Invalid("worker-key-file", "the key cannot be read: %v", err)
	}
	cfg.WorkerKey = secret.New(string(content))
	return nil
}

type workerKeyCommand struct {
	Data      string       `help:"The server's data folder." default:"./data" type:"path" placeholder:"DIR"`
	MasterKey secret.Value `help:"Content of the key file, instead of master.key in the data folder." env:"TIDEWAITER_MASTER_KEY" placeholder:"…"`
}

// Help says what the key is good for.
func (workerKeyCommand) Help() string {
	return `Prints the key workers need, on one line. It opens the credentials in the database and is to be kept as secret as these. Unlike the
key file it is made from, it cannot be used to log in, nor to make tokens.

    tidewaiter worker-key | kubectl create secret generic tidewaiter-worker --from-file=worker-key=/dev/stdin`
}

// Run prints the key.
func (c workerKeyCommand) Run(s streams) error {
	keyring, err := c.open()
	if err != nil {
		return err
	}
	key, err := keyring.WorkerKey()
	if err != nil {
		return err
	}
	sayf(s.out, "%s\n", key.Reveal())
	return nil
}

func (c workerKeyCommand) open() (*secret.Keyring, error) {
	if !c.MasterKey.IsZero() {
		return secret.Parse(c.MasterKey.Reveal())
	}
	path := filepath.Join(c.Data, "master.key")
	if _, err := os.Stat(path); err != nil { // one must not be made here
		return nil, tidewaiter.Invalid("data", "there is no key file in %s", c.Data).WithFix("give the data folder of a server that has run")
	}
	return secret.Open(path)
}
