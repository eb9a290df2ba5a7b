package cli

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type validateCommand struct {
	URL        string `arg:"" help:"The registry: https://host[:port], or a bare host."`
	Repository string `help:"A repository to look at, for registries that do not list theirs." placeholder:"NAME"`
	Output     string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
	draftFlags
}

// Help gives an example of each sort.
func (validateCommand) Help() string {
	return `Asks the registry itself, by the API of its kind, as a server would before it stores a declaration.

    tidewaiter registry validate https://harbor.example.com --kind harbor -u 'robot$scan' --password-stdin
    tidewaiter registry validate https://123456789012.dkr.ecr.eu-central-1.amazonaws.com --kind ecr --credential-setting useAWSRole=true
    tidewaiter registry validate https://europe-docker.pkg.dev --kind gar --secret-file service-account.json

Without a user name or secret, what docker login stored is used.`
}

// validateTime bounds a validation; it is what the server gives itself.
const validateTime = 15 * time.Second

// Run shows every step with its time and, when one fails, what would mend it.
func (c validateCommand) Run(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, validateTime)
	defer cancel()
	client := oci.New(oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version})
	defer client.Close()
	d, err := c.open(ctx, s, client, c.URL)
	if err != nil {
		return err
	}
	if c.Repository != "" {
		d.registry.Scope.Select = []tidewaiter.Selector{{Repository: c.Repository}}
	}
	steps := d.connections.Probe(ctx, d.registry, d.credential, d.secret)
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
			sayf(s.out, "%-16s %-7s %8s  %s\n", step.Name, mark, step.Duration.Round(time.Millisecond), step.Detail)
		}
		if err := step.Err(); err != nil {
			return explained(err)
		}
	}
	return nil
}
