// Package cli is the tidewaiter command: one file a subcommand. Every flag can also be set by an environment variable
// TIDEWAITER_* or in tidewaiter.yaml; the flag wins over the variable, the variable over the file.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The exit codes, as `tidewaiter --help` documents them.
const (
	exitOK       = 0
	exitError    = 1 // something went wrong; the message says what
	exitFindings = 2 // the scan worked, and found what --fail-on names
	exitUnknown  = 3 // the gate knows nothing of the image
	exitUsage    = 64
	exitDenied   = 77 // the registry refused us
)

// version is set when the binary is built.
var version = "dev"

type root struct {
	Serve         serveCommand         `cmd:"" help:"Watch registries: API, workers and everything else in one process."`
	Worker        workerCommand        `cmd:"" help:"Work on the jobs of servers elsewhere, over their PostgreSQL database."`
	WorkerKey     workerKeyCommand     `cmd:"" help:"Print the key workers need."`
	Scan          scanCommand          `cmd:"" help:"Scan one image now, without a server."`
	Gate          gateCommand          `cmd:"" help:"Ask a server whether an image may be used, for pipelines."`
	Registry      registryCommand      `cmd:"" help:"Declare registries, and look at them before."`
	Image         imageCommand         `cmd:"" help:"Look at the images a server knows."`
	Vulnerability vulnerabilityCommand `cmd:"" help:"Ask a server which vulnerabilities images have, and which images have one."`
	Events        eventsCommand        `cmd:"" help:"What registries told of, and where they are to send it."`
	Webhook       webhookCommand       `cmd:"" help:"Tell others what happens: webhooks, what they were told, what did not arrive."`
	Scanner       scannerCommand       `cmd:"" help:"Ask other scanners for a second opinion on images."`
	Workers       workersCommand       `cmd:"" help:"Look at the processes that work on jobs, and at the lanes these wait in."`
	Advisories    advisoriesCommand    `cmd:"" help:"Show, fetch or import the vulnerability advisories."`
	Doctor        doctorCommand        `cmd:"" help:"Find out what a registry is, what a credential may do there, and what is missing."`
	Emulate       emulateCommand       `cmd:"" help:"Be a registry of some kind, for trying discovery out."`
	Demo          demoCommand          `cmd:"" help:"Run everything on this machine with sample images, offline."`
	Version       versionCommand       `cmd:"" help:"Show the version."`

	Config   kong.ConfigFlag `help:"Settings file (default: ./tidewaiter.yaml when it exists)." type:"path" placeholder:"FILE"`
	LogLevel string          `help:"Least severe log lines to write: ${enum}." enum:"debug,info,warn,error" default:"info" env:"TIDEWAITER_LOG_LEVEL"`
	LogJSON  bool            `help:"Write logs as JSON." name:"log-json" env:"TIDEWAITER_LOG_JSON"`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command line and returns the exit code. An interrupt or SIGTERM ends what runs in good order; a second
// one ends it at once.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from here on a signal kills

	var r root
	exited := -1
	parser, err := kong.New(&r,
		kong.Name("tidewaiter"),
		kong.Description("Watches container registries: finds images, analyses each layer once, matches vulnerabilities, judges by policy.\n\n"+
			"Exit codes: 0 all went well, 1 something failed, 2 a scan or the gate found what --fail-on names, 3 the gate has no verdict, 64 wrong usage, 77 the registry refused us."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.Configuration(yamlSettings, "tidewaiter.yaml"), kong.DefaultEnvars("TIDEWAITER"),
		kong.Vars{"epss_source": advisory.DefaultEPSSSource, "kev_source": advisory.DefaultKEVSource},
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(streams{stdin, stdout, stderr}),
	)
	if err != nil {
		sayf(stderr, "tidewaiter: %v\n", err)
		return exitError
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		sayf(stderr, "tidewaiter: %v\n", err)
		return exitUsage
	}
	return exitCode(stderr, command.Run(&r, newLogger(stderr, r.LogLevel, r.LogJSON)))
}

// sayf writes to people. There is nobody left to tell when that fails.
func sayf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// What ends a command that worked: it found what it was told to fail on, or knows nothing of the image.
var (
	errFindings  = errors.New("found what --fail-on names")
	errNoVerdict = errors.New("there is no verdict")
)

func exitCode(stderr io.Writer, err error) int {
	switch kind := tidewaiter.KindOf(err); {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, errNoVerdict):
		return exitUnknown
	case errors.Is(err, context.Canceled):
		return exitError
	default:
		sayf(stderr, "tidewaiter: %v\n", err)
		switch kind {
		case tidewaiter.ErrAuth, tidewaiter.ErrDenied:
			return exitDenied
		case tidewaiter.ErrInvalid:
			return exitUsage
		}
		return exitError
	}
}
