package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type scannerCommand struct {
	Add      scannerAddCommand      `cmd:"" help:"Have another scanner asked for a second opinion: anything Harbor can be given."`
	List     scannerListCommand     `cmd:"" help:"List the scanners."`
	Show     scannerShowCommand     `cmd:"" help:"Show one scanner, what it is, and how far it has come."`
	Edit     scannerEditCommand     `cmd:"" help:"Change a scanner; what is not given stays."`
	Remove   scannerRemoveCommand   `cmd:"" help:"Remove a scanner with everything it said."`
	Validate scannerValidateCommand `cmd:"" help:"Ask a scanner now what it is and can do."`
	Ask      scannerAskCommand      `cmd:"" help:"Have a scanner asked anew, about one image or about all it was asked about."`
}

// scannerFlags are what adding and editing have in common.
type scannerFlags struct {
	Login      string        `help:"How to log in to it: ${enum}. Without it: stays, of a new one none." enum:",none,basic,bearer,apikey" default:"" placeholder:"HOW"`
	Username   string        `help:"User name, for basic." placeholder:"NAME"`
	SecretFile string        `help:"File with the password, token or key; \"-\" is standard input." placeholder:"FILE"`
	Lend       string        `help:"What it is lent to pull images with: ${enum}. auto is a token for the one repository where the registry gives one, else the registry's credential." enum:",auto,token,credential" default:"" placeholder:"WHAT"`
	CACert     string        `help:"Trust the authority in this file too." name:"ca-cert" type:"filecontent" placeholder:"FILE"`
	SkipVerify *bool         `help:"Do not verify its certificate." name:"skip-verify" negatable:""`
	MaxAge     time.Duration `help:"Ask again when an opinion is older and its image is seen again; 24h when it is left out." placeholder:"TIME"`
	Parallel   int           `help:"Images it is asked about at once; 4 when it is left out." placeholder:"N"`
	Unchecked  bool          `help:"Store it although it does not answer as a scanner does."`
}

// apply takes the flags over into a draft; what was not given stays.
func (f scannerFlags) apply(s streams, passwordStdin bool, d *client.ScannerDraft) error {
	if f.SecretFile == "-" && passwordStdin {
		return tidewaiter.Invalid("password-stdin", "standard input holds the scanner's secret").WithFix("set TIDEWAITER_PASSWORD instead")
	}
	for _, set := range []struct {
		to   *string
		from string
	}{{&d.Login, f.Login}, {&d.Username, f.Username}, {&d.Lend, f.Lend}, {&d.TLS.CACert, f.CACert}} {
		if set.from != "" {
			*set.to = set.from
		}
	}
	if f.Login != "" && f.Login != "basic" && f.Username == "" {
		d.Username = ""
	}
	if f.SkipVerify != nil {
		d.TLS.SkipVerify = *f.SkipVerify
	}
	if f.MaxAge != 0 {
		d.MaxAge = f.MaxAge.String()
	}
	if f.Parallel != 0 {
		d.Parallel = f.Parallel
	}
	d.Unchecked = f.Unchecked
	var err error
	d.Secret, err = readScannerSecret(s, f.SecretFile)
	return err
}

func readScannerSecret(s streams, file string) (string, error) {
	switch file {
	case "":
		return "", nil
	case "-":
		return firstLine(s.in)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", tidewaiter.Invalid("secret-file", "%s", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes))
	return strings.TrimRight(string(b), "\r\n"), err
}

type scannerAddCommand struct {
	Name string `arg:"" help:"What to call it."`
	URL  string `arg:"" help:"Its address, as Harbor would be given it: what comes before /api/v1/metadata. \"-\" reads it from standard input: some addresses are secrets."`

	Registries []string `help:"Ask about the images of these registries." placeholder:"ID"`
	All        bool     `help:"Ask about the images of all registries."`
	Off        bool     `help:"Do not switch it on yet."`
	scannerFlags
	remoteFlags
}

// Run adds a scanner and shows what it is.
func (c scannerAddCommand) Run(ctx context.Context, s streams) error {
	if c.URL == "-" {
		if c.PasswordStdin || c.SecretFile == "-" {
			return tidewaiter.Invalid("url", "standard input holds more than the address").WithFix("set TIDEWAITER_PASSWORD, and give the secret in a file")
		}
		address, err := firstLine(s.in)
		if err != nil {
			return err
		}
		c.URL = address
	}
	d := client.ScannerDraft{Name: c.Name, URL: c.URL, Registries: c.Registries, AllRegistries: c.All, Disabled: c.Off}
	if err := c.apply(s, c.PasswordStdin, &d); err != nil {
		return err
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	x, err := server.AddScanner(ctx, d)
	if err != nil {
		return refused(err)
	}
	if err := showScanner(s, c.Output, x); err != nil {
		return err
	}
	if !c.All && len(c.Registries) == 0 {
		sayf(s.err, "It is asked about no registry yet: give --registries or --all.\n")
	}
	return nil
}

func showScanner(s streams, output string, x *client.Scanner) error {
	if output == "json" {
		return json.NewEncoder(s.out).Encode(x)
	}
	about := func(enabled bool, text string) string {
		if !enabled {
			return ""
		}
		return text
	}
	registries := strings.Join(x.Registries, " ")
	if x.AllRegistries {
		registries = "all"
	}
	a := x.About
	t := newColumns("FIELD", "VALUE")
	for _, row := range [][]string{
		{"id", x.ID}, {"name", x.Name}, {"address", x.Address}, {"state", onOff(x.Disabled)}, {"login", x.Login}, {"username", x.Username}, {"lend", x.Lend},
		{"certificate", about(x.TLS.SkipVerify, "not verified")}, {"registries", registries}, {"max age", x.MaxAge}, {"parallel", strconv.Itoa(x.Parallel)},
		{"scanner", strings.TrimSpace(a.Name + " " + a.Version)}, {"vendor", a.Vendor}, {"reports", strings.Join(a.Reports, ", ")}, {"takes", strings.Join(a.Consumes, ", ")},
		{"bills of materials", about(a.SBOM, "yes")}, {"wants login", a.WantsLogin}, {"database of", when(a.DatabaseAt)}, {"checked", when(a.CheckedAt)},
		{"paused until", when(x.PausedUntil)}, {"waiting", strconv.Itoa(x.Opinions["waiting"])}, {"asking", strconv.Itoa(x.Opinions["asking"])},
		{"done", strconv.Itoa(x.Opinions["done"])}, {"failed", strconv.Itoa(x.Opinions["failed"])},
	} {
		t.row(row...)
	}
	return t.write(s.out)
}

type scannerListCommand struct{ remoteFlags }

// Run lists scanners by name.
func (c scannerListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	list, err := server.Scanners(ctx)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(list)
	}
	t := newColumns("ID", "NAME", "ADDRESS", "ON", "SCANNER", "DATABASE OF", "REGISTRIES")
	for i := range list {
		x := &list[i]
		registries := strconv.Itoa(len(x.Registries))
		if x.AllRegistries {
			registries = "all"
		}
		t.row(x.ID, x.Name, x.Address, onOff(x.Disabled), strings.TrimSpace(x.About.Name+" "+x.About.Version), when(x.About.DatabaseAt), registries)
	}
	return t.write(s.out)
}

// oneScanner is a command about one scanner.
type oneScanner struct {
	ID string `arg:"" help:"The scanner's id or name."`
	remoteFlags
}

// find returns the client and the scanner meant, by id or, when no id is like that, by name.
func (c oneScanner) find(ctx context.Context, s streams) (*client.Client, *client.Scanner, error) {
	server, err := c.client(s)
	if err != nil {
		return nil, nil, err
	}
	list, err := server.Scanners(ctx)
	if err != nil {
		return nil, nil, refused(err)
	}
	for _, meant := range []func(x *client.Scanner) bool{
		func(x *client.Scanner) bool { return x.ID == c.ID },
		func(x *client.Scanner) bool { return x.Name == c.ID },
	} {
		for i := range list {
			if meant(&list[i]) {
				return server, &list[i], nil
			}
		}
	}
	return nil, nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no scanner %q", c.ID).WithFix("see tidewaiter scanner list")
}

type scannerShowCommand struct{ oneScanner }

// Run shows a scanner.
func (c scannerShowCommand) Run(ctx context.Context, s streams) error {
	server, x, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	if x, err = server.Scanner(ctx, x.ID); err != nil {
		return refused(err)
	}
	return showScanner(s, c.Output, x)
}
