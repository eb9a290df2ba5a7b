package cli

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

type registryCommand struct {
	Validate validateCommand `cmd:"" help:"Check step by step whether a registry can be reached, trusts us, lists and gives out an image."`
}

type validateCommand struct {
	URL        string `arg:"" help:"The registry: https://host[:port], or a bare host."`
	Repository string `help:"A repository to look at, for registries that do not list theirs." placeholder:"NAME"`
	Output     string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
	accessFlags
}

// validateTime bounds a validation; it is what the server gives itself.
const validateTime = 15 * time.Second

// Run shows every step with its time and, when one fails, what would mend it.
func (c validateCommand) Run(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, validateTime)
	defer cancel()
	client := oci.New(oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version})
	defer client.Close()
	endpoint, err := c.endpoint(ctx, s, client, c.URL)
	if err != nil {
		return err
	}
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
			sayf(s.out, "%-16s %-7s %8s  %s\n", step.Name, mark, step.Duration.Round(time.Millisecond), step.Detail)
		}
		if err := step.Err(); err != nil {
			return explained(err)
		}
	}
	return nil
}
