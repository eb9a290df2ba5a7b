package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// draftFlags describe a registry that is not declared: where it is, what it is, and what to log in with.
type draftFlags struct {
	Kind string `help:"What kind of registry it is; tidewaiter doctor finds out. One of oci, dockerhub, ecr, acr, gar, artifactory, nexus, quay, harbor, gitlab, ghcr, openshift, dtr, ibm, ocir." default:"oci" placeholder:"KIND"`
	credentialFlags
}

// credentialFlags are what to log in with, and what else a kind wants to know.
type credentialFlags struct {
	Setting           map[string]string `help:"A setting of the kind, as region=eu-central-1." placeholder:"KEY=VALUE"`
	CredentialKind    string            `help:"What kind of credential it is; without it the first that fits what is given." placeholder:"KIND"`
	CredentialSetting map[string]string `help:"A part of the credential that is not secret, as roleArn=arn:…" placeholder:"KEY=VALUE"`
	SecretFile        string            `help:"File with the password, token, key or document to log in with." type:"existingfile" placeholder:"FILE"`
	Endpoint          map[string]string `help:"Address of a vendor's service in place of its own, for private clouds and emulators: hub=https://…" placeholder:"NAME=URL"`
	accessFlags
}

// maxSecretBytes bounds a secret: kubeconfigs and certificates are the longest.
const maxSecretBytes = 1 << 20

// draft is a registry with what to log in with, ready to be asked.
type draft struct {
	registry    *tidewaiter.Registry
	credential  *tidewaiter.Credential // nil is anonymous, or what docker login stored
	secret      secret.Value
	client      *oci.Client
	connections *connector.Connector
}

// open reads the flags. The client is the caller's to close.
func (f draftFlags) open(ctx context.Context, s streams, client *oci.Client, address string) (*draft, error) {
	can, err := capabilities(f.Kind)
	if err != nil {
		return nil, err
	}
	d := &draft{client: client}
	if d.secret, err = f.readSecret(s); err != nil {
		return nil, err
	}
	if d.credential, err = f.credential(can, !d.secret.IsZero()); err != nil {
		return nil, err
	}
	if err := connector.CheckEndpoints(f.Endpoint); err != nil {
		return nil, err
	}
	options := connector.Options{Endpoints: f.Endpoint}
	if d.credential == nil {
		if options.Anonymous, err = oci.DockerConfig(""); err != nil {
			return nil, err
		}
	}
	e, err := f.place(ctx, client, address, options.Anonymous)
	if err != nil {
		return nil, err
	}
	d.registry = &tidewaiter.Registry{Kind: can.Kind, URL: e.URL, TLS: e.TLS, Settings: f.Setting}
	d.connections = connector.NewWithOptions(client, nil, nil, options)
	return d, nil
}

// capabilities returns what a kind can do, or an ErrInvalid that names the kinds there are.
func capabilities(kind string) (connector.Capabilities, error) {
	can, ok := connector.CapabilitiesOf(tidewaiter.RegistryKind(kind))
	if ok {
		return can, nil
	}
	var names []string
	for _, k := range connector.Kinds() {
		names = append(names, string(k.Kind))
	}
	return can, tidewaiter.Invalid("kind", "there is no registry kind %q", kind).WithFix("one of %s", strings.Join(names, ", "))
}

func (f credentialFlags) readSecret(s streams) (secret.Value, error) {
	from, name := s.in, "standard input"
	switch {
	case f.SecretFile != "" && f.PasswordStdin:
		return secret.Value{}, tidewaiter.Invalid("secret-file", "the secret comes from a file or from standard input, not both")
	case f.SecretFile != "":
		file, err := os.Open(f.SecretFile)
		if err != nil {
			return secret.Value{}, err
		}
		defer file.Close()
		from, name = file, f.SecretFile
	case !f.PasswordStdin:
		return secret.Value{}, nil
	}
	b, err := io.ReadAll(io.LimitReader(from, maxSecretBytes+1))
	if err != nil {
		return secret.Value{}, err
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" || len(b) > maxSecretBytes {
		return secret.Value{}, tidewaiter.Invalid("secret", "%s holds no secret of 1 byte to %d bytes", name, maxSecretBytes)
	}
	return secret.New(text), nil
}

// credential returns what the flags give, nil for nothing at all.
func (f credentialFlags) credential(can connector.Capabilities, hasSecret bool) (*tidewaiter.Credential, error) {
	if !f.given(hasSecret) {
		return nil, nil
	}
	c := &tidewaiter.Credential{Kind: tidewaiter.CredentialKind(f.CredentialKind), Username: f.Username, Settings: f.CredentialSetting}
	if c.Kind != "" {
		return c, nil
	}
	if form, ok := can.Form(func(key string) bool { return f.gives(key, hasSecret) }); ok {
		c.Kind = form.Kind
		return c, nil
	}
	if f.Username != "" && !hasSecret {
		return nil, tidewaiter.Invalid("username", "a user needs a password").WithFix("give the password by --secret-file, or on standard input by --password-stdin (--secret-stdin of registry add)")
	}
	return nil, tidewaiter.Invalid("credential", "what is given is no complete credential for a registry of kind %s", can.Kind).WithFix("%s", can.FormsText())
}

// given reports whether there is any credential.
func (f credentialFlags) given(hasSecret bool) bool {
	return hasSecret || f.Username != "" || len(f.CredentialSetting) > 0 || f.CredentialKind != ""
}

func (f credentialFlags) gives(key string, hasSecret bool) bool {
	switch key {
	case "secret":
		return hasSecret
	case "username":
		return f.Username != ""
	}
	return f.CredentialSetting[key] != "" || f.Setting[key] != ""
}

// place finds out where the registry is: an address without a scheme means https, or http where pickScheme finds that.
func (f credentialFlags) place(ctx context.Context, client *oci.Client, address string, auth oci.Auth) (oci.Endpoint, error) {
	e, err := f.endpointAt(address)
	if err != nil || strings.Contains(address, "://") {
		return e, err
	}
	e.Auth = auth
	return f.pickScheme(ctx, client, e)
}
