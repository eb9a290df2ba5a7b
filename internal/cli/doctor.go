package cli

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/doctor"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type doctorCommand struct {
	URL        string        `arg:"" help:"The registry: https://host[:port], or a bare host."`
	Repository string        `help:"A repository to try rights with, where the registry lists none." placeholder:"NAME"`
	Time       time.Duration `help:"Take no longer than this." default:"60s"`
	Output     string        `help:"${enum}." enum:"text,json,markdown" default:"text" short:"o"`
	kindlessFlags
}

// kindlessFlags are draftFlags where the kind may be left open.
type kindlessFlags struct {
	Kind string `help:"What kind of registry it is; without it that is found out." placeholder:"KIND"`
	credentialFlags
}

// Help says what is asked and what is not sent.
func (doctorCommand) Help() string {
	return `Finds out what kind of registry it is, how it is reached, what the credential may do there, what is missing and how to grant
it, and the registry's habits: limits, pages, tokens. The report holds no secret: paste it in a ticket (--output markdown).

What kind it is, is asked without the credential. That then goes to the host it was given for, and to a vendor's API only where
the address is that vendor's. Exit code 77 when the registry refuses something, 1 when it cannot be reached.`
}

// Run shows the report, whatever it says.
func (c doctorCommand) Run(ctx context.Context, s streams) error {
	plain, err := c.readSecret(s)
	if err != nil {
		return err
	}
	if err := connector.CheckEndpoints(c.Endpoint); err != nil {
		return err
	}
	options := doctor.Options{
		Client:    oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version},
		Connector: connector.Options{Endpoints: c.Endpoint}, Version: version, Time: c.Time,
	}
	patient := doctor.Patient{Secret: plain}
	if c.given(!plain.IsZero()) {
		patient.Credential = &tidewaiter.Credential{Kind: tidewaiter.CredentialKind(c.CredentialKind), Username: c.Username, Settings: c.CredentialSetting}
	} else if options.Connector.Anonymous, err = oci.DockerConfig(""); err != nil {
		return err
	}
	client := oci.New(options.Client)
	defer client.Close()
	e, err := c.place(ctx, client, c.URL, nil)
	if err != nil {
		return err
	}
	patient.Registry = &tidewaiter.Registry{URL: e.URL, TLS: e.TLS, Kind: tidewaiter.RegistryKind(c.Kind), Settings: c.Setting}
	if c.Repository != "" {
		patient.Registry.Scope.Select = []tidewaiter.Selector{{Repository: c.Repository}}
	}
	report, err := doctor.Examine(ctx, options, patient)
	if err != nil {
		return err
	}
	if err := c.show(s.out, report); err != nil {
		return err
	}
	return report.Err()
}

func (c doctorCommand) show(w io.Writer, r *doctor.Report) (err error) {
	switch c.Output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case "markdown":
		_, err = io.WriteString(w, r.Markdown())
	default:
		_, err = io.WriteString(w, r.Text())
	}
	return err
}
