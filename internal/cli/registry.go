package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type registryCommand struct {
	Validate validateCommand `cmd:"" help:"Check step by step whether a registry can be reached, trusts us, lists and gives out an image."`
}

// accessFlags say how to get into a registry.
type accessFlags struct {
	Username      string `help:"User name; without it the Docker configuration is asked." short:"u"`
	PasswordStdin bool   `help:"Read the password from standard input." name:"password-stdin"`
	Insecure      bool   `help:"Trust any certificate, and use http for a host without https."`
	CACert        string `help:"Certificates to trust in addition, in PEM." name:"ca-cert" type:"existingfile" placeholder:"FILE"`
}

type validateCommand struct {
	URL        string `arg:"" help:"The registry: https://host[:port], or a bare host."`
	Repository string `help:"A repository to look at, for registries that do not list theirs." placeholder:"NAME"`
	Output     string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
	accessFlags
}

// Run shows every step with its time and, when one fails, what would mend it.
func (c validateCommand) Run(ctx context.Context, s streams) error {
	endpoint, err := c.endpoint(ctx, s, c.URL)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	client := oci.New(oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version})
	defer client.Close()
	steps := client.Probe(ctx, endpoint, c.Repository)
	if c.Output == "json" {
		if err := json.NewEncoder(s.out).Encode(steps); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if c.Output == "table" {
			mark := "ok"
			if !step.OK {
				mark = "FAILED"
			}
			fmt.Fprintf(s.out, "%-16s %-7s %8s  %s\n", step.Name, mark, step.Duration.Round(time.Millisecond), step.Detail)
		}
		if err := step.Err(); err != nil {
			return err
		}
	}
	return nil
}

// endpoint makes the endpoint of a registry from the flags and, without a user name, the Docker configuration.
func (f accessFlags) endpoint(ctx context.Context, s streams, url string) (oci.Endpoint, error) {
	base, err := tidewaiter.ParseRegistryURL(url)
	if err != nil {
		return oci.Endpoint{}, err
	}
	e := oci.Endpoint{URL: base, TLS: tidewaiter.TLS{SkipVerify: f.Insecure}}
	if f.CACert != "" {
		pem, err := os.ReadFile(f.CACert)
		if err != nil {
			return e, err
		}
		e.TLS.CACert = string(pem)
	}
	e.Auth, err = f.auth(ctx, s, base)
	return e, err
}
