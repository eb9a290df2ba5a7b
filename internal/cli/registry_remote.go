package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// show writes v as JSON, or has it written as a table.
func (f remoteFlags) show(w io.Writer, v any, table func(io.Writer) error) error {
	if f.Output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	return table(w)
}

type registryAddCommand struct {
	URL        string            `arg:"" help:"The registry: https://host[:port]."`
	Kind       string            `help:"What kind of registry it is; tidewaiter doctor finds out." default:"oci" placeholder:"KIND"`
	Name       string            `help:"What to call it." placeholder:"NAME"`
	Setting    map[string]string `help:"A setting of the kind, as region=eu-central-1; publishSBOM=cyclonedx or spdx and publishReport=sarif or json push results into the registry." placeholder:"KEY=VALUE"`
	Credential string            `help:"Id of a stored credential to log in with." placeholder:"ID"`
	CACert     string            `help:"Certificates to trust in addition, in PEM." name:"ca-cert" type:"existingfile" placeholder:"FILE"`
	Insecure   bool              `help:"Trust any certificate."`
	Every      string            `help:"Scan it by itself so often, as 24h; without it on demand only." placeholder:"TIME"`
	Label      []string          `help:"A label a worker must have to talk to it, as zone=dmz; repeat for more." placeholder:"KEY=VALUE"`
	Parallel   int               `help:"Images and layers of it worked on at once, over all workers; 0 leaves it to the server." placeholder:"N"`
	NoScan     bool              `help:"Do not scan it at once."`

	CredentialKind    string            `help:"Store a new credential of this kind and use it." placeholder:"KIND"`
	CredentialSetting map[string]string `help:"A part of the new credential that is not secret." placeholder:"KEY=VALUE"`
	Username          string            `help:"User name of the new credential." short:"u"`
	SecretFile        string            `help:"File with the secret of the new credential." type:"existingfile" placeholder:"FILE"`
	SecretStdin       bool              `help:"Read the secret of the new credential from standard input." name:"secret-stdin"`
	scopeFlags
	remoteFlags
}

// Run stores the credential, if a new one is given, and the registry.
func (c registryAddCommand) Run(ctx context.Context, s streams) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	if c.SecretStdin && c.PasswordStdin {
		return tidewaiter.Invalid("secret-stdin", "standard input holds one secret, not both that of --secret-stdin and of --password-stdin").
			WithFix("set TIDEWAITER_PASSWORD, or give the registry's secret by --secret-file")
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	draft := client.RegistryDraft{Name: c.Name, Kind: c.Kind, URL: c.URL, Credential: c.Credential, Scope: wireScope(scope), Settings: c.Setting,
		Schedule: client.Schedule{Every: c.Every}, Labels: c.Label, Parallel: c.Parallel, TLS: client.RegistryTLS{SkipVerify: c.Insecure}}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return err
		}
		draft.TLS.CACert = string(pem)
	}
	made, err := c.newCredential(ctx, s, server)
	if err != nil {
		return err
	}
	if made != "" {
		draft.Credential = made
	}
	r, err := server.DeclareRegistry(ctx, draft, !c.NoScan)
	if err != nil {
		if made != "" {
			return fmt.Errorf("%w\nhint: the credential was stored as %s; use it with --credential", refused(err), made)
		}
		return refused(err)
	}
	return c.show(s.out, r, func(w io.Writer) error { sayf(w, "%s\n", r.ID); return nil })
}

// newCredential stores the credential the flags describe and returns its id, "" when they describe none.
func (c registryAddCommand) newCredential(ctx context.Context, s streams, server *client.Client) (string, error) {
	flags := credentialFlags{Setting: c.Setting, CredentialKind: c.CredentialKind, CredentialSetting: c.CredentialSetting, SecretFile: c.SecretFile,
		accessFlags: accessFlags{Username: c.Username, PasswordStdin: c.SecretStdin}}
	plain, err := flags.readSecret(s)
	if err != nil || !flags.given(!plain.IsZero()) {
		return "", err
	}
	if c.Credential != "" {
		return "", tidewaiter.Invalid("credential", "a stored credential and a new one cannot both be used")
	}
	can, err := capabilities(c.Kind)
	if err != nil {
		return "", err
	}
	cred, err := flags.credential(can, !plain.IsZero())
	if err != nil {
		return "", err
	}
	stored, err := server.AddCredential(ctx, client.CredentialDraft{Name: c.Name, Kind: string(cred.Kind), Username: cred.Username,
		Secret: plain.Reveal(), Settings: cred.Settings})
	if err != nil {
		return "", refused(err)
	}
	return stored.ID, nil
}

func wireScope(s tidewaiter.Scope) client.Scope {
	out := client.Scope{ExcludeRepositories: s.ExcludeRepositories, ExcludeTags: s.ExcludeTags, Newest: s.Newest,
		VersionPattern: s.VersionPattern, MaxAgeDays: s.MaxAgeDays}
	for _, sel := range s.Select {
		out.Select = append(out.Select, client.Selector(sel))
	}
	return out
}

type registryListCommand struct {
	remoteFlags
}

// Run lists every declared registry, page by page.
func (c registryListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	all, err := pages(0, func(limit int, after string) (*client.Page[client.Registry], error) {
		return server.Registries(ctx, client.RegistryQuery{Limit: limit, After: after})
	})
	if err != nil {
		return refused(err)
	}
	return c.show(s.out, all, func(w io.Writer) error {
		t := newColumns("ID", "NAME", "KIND", "ADDRESS", "ORIGIN", "IMAGES", "VULNERABLE", "SCAN")
		for _, r := range all {
			t.row(r.ID, r.Name, r.Kind, r.URL, r.Origin, strconv.Itoa(r.Totals.Images), strconv.Itoa(r.Totals.Vulnerable), stateOf(r))
		}
		return t.write(w)
	})
}

func stateOf(r client.Registry) string {
	switch {
	case r.Current != nil:
		return r.Current.State
	case r.Finished != nil:
		return r.Finished.State
	}
	return "never"
}

type registryShowCommand struct {
	Registry string `arg:"" help:"Id or name of a declared registry."`
	remoteFlags
}

// Run shows one registry.
func (c registryShowCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	r, err := findRegistry(ctx, server, c.Registry)
	if err != nil {
		return err
	}
	return c.show(s.out, r, func(w io.Writer) error {
		line := func(name, format string, args ...any) { sayf(w, "%-14s "+format+"\n", append([]any{name}, args...)...) }
		line("id", "%s", r.ID)
		if r.Name != "" {
			line("name", "%s", r.Name)
		}
		line("address", "%s", r.URL)
		line("kind", "%s, declared through %s", r.Kind, r.Origin)
		line("repositories", "%d in scope", r.Totals.Repositories)
		line("images", "%d, %d judged, %d with vulnerabilities", r.Totals.Images, r.Totals.Scanned, r.Totals.Vulnerable)
		if r.Finished != nil {
			line("last scan", "%s", scanText(r.Finished))
		}
		if r.Current != nil {
			line("current scan", "%s", scanText(r.Current))
		}
		return nil
	})
}

func scanText(s *client.Scan) string {
	text := fmt.Sprintf("%s since %s: %d of %d repositories listed, %d of %d images", s.State, s.CreatedAt.Format(time.RFC3339), s.Listed, s.Repositories, s.Done, s.Images)
	if s.Failed > 0 {
		text += fmt.Sprintf(" (%d failed)", s.Failed)
	}
	if s.Error != "" {
		text += ": " + s.Error
	}
	return text
}

// findRegistry finds a registry by its id, else by its name, which has to be one registry's only.
func findRegistry(ctx context.Context, server *client.Client, of string) (*client.Registry, error) {
	r, err := server.Registry(ctx, of)
	if err == nil || !isNotFound(err) {
		return r, refused(err)
	}
	page, err := server.Registries(ctx, client.RegistryQuery{Name: of, Limit: 2})
	switch {
	case err != nil:
		return nil, refused(err)
	case len(page.Items) == 0:
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "no declared registry has the id or name %q", of).WithFix("tidewaiter registry list shows them")
	case len(page.Items) > 1:
		return nil, tidewaiter.Invalid("registry", "several registries are called %q", of).WithFix("use the id: %s or %s", page.Items[0].ID, page.Items[1].ID)
	}
	return &page.Items[0], nil
}

type registryScanCommand struct {
	Registry string `arg:"" help:"Id or name of a declared registry."`
	Force    bool   `help:"Ask for every tag where it points, and judge known images again too."`
	remoteFlags
}

// Run starts a scan and does not wait for it.
func (c registryScanCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	r, err := findRegistry(ctx, server, c.Registry)
	if err != nil {
		return err
	}
	scan, err := server.ScanRegistry(ctx, r.ID, client.ScanRequest{Force: c.Force})
	if err != nil {
		return refused(err)
	}
	return c.show(s.out, scan, func(w io.Writer) error { sayf(w, "%s %s\n", scan.ID, scan.State); return nil })
}

type registryRemoveCommand struct {
	Registry string `arg:"" help:"Id or name of a declared registry."`
	remoteFlags
}

// Run removes a registry.
func (c registryRemoveCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	r, err := findRegistry(ctx, server, c.Registry)
	if err != nil {
		return err
	}
	if err := server.DeleteRegistry(ctx, r.ID); err != nil {
		return refused(err)
	}
	sayf(s.out, "removed %s, %s\n", r.ID, r.URL)
	return nil
}
