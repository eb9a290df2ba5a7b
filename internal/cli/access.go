package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// accessFlags say how to get into a registry.
type accessFlags struct {
	Username      string `help:"User name; without it the Docker configuration is asked." short:"u"`
	PasswordStdin bool   `help:"Read the password from standard input." name:"password-stdin"`
	Insecure      bool   `help:"Trust any certificate, and use http for a host without https. Hosts on this machine (localhost, 127.0.0.1, [::1]) are tried with http without it."`
	CACert        string `help:"Certificates to trust in addition, in PEM." name:"ca-cert" type:"existingfile" placeholder:"FILE"`
}

// maxPasswordBytes bounds what is read from standard input.
const maxPasswordBytes = 64 << 10

// auth returns what to log in with: the given user and password, else what `docker login` stored, else nothing.
func (f accessFlags) auth(s streams) (oci.Auth, error) {
	if f.Username == "" {
		if f.PasswordStdin {
			return nil, tidewaiter.Invalid("password-stdin", "a password needs a user").WithFix("give --username too")
		}
		return oci.DockerConfig("")
	}
	if !f.PasswordStdin {
		return nil, tidewaiter.Invalid("username", "a user needs a password").WithFix("give --password-stdin and write the password to standard input")
	}
	password, err := io.ReadAll(io.LimitReader(s.in, maxPasswordBytes))
	if err != nil {
		return nil, err
	}
	return oci.Basic(f.Username, strings.TrimRight(string(password), "\r\n")), nil
}

// endpoint makes the endpoint of a registry from the flags and, without a user name, the Docker configuration. An address
// without a scheme means https, or http where pickScheme finds that.
func (f accessFlags) endpoint(ctx context.Context, s streams, client *oci.Client, address string) (oci.Endpoint, error) {
	e, err := f.endpointAt(address)
	if err != nil {
		return e, err
	}
	if e.Auth, err = f.auth(s); err != nil || strings.Contains(address, "://") {
		return e, err
	}
	return f.pickScheme(ctx, client, e)
}

// endpointAt is endpoint without anything to log in with.
func (f accessFlags) endpointAt(address string) (oci.Endpoint, error) {
	base, err := tidewaiter.ParseRegistryURL(address)
	if err != nil {
		return oci.Endpoint{}, err
	}
	e := oci.Endpoint{URL: base, TLS: tidewaiter.TLS{SkipVerify: f.Insecure}}
	if f.CACert == "" {
		return e, nil
	}
	pem, err := os.ReadFile(f.CACert)
	if err != nil {
		return e, err
	}
	if e.TLS.CACert = string(pem); strings.TrimSpace(e.TLS.CACert) == "" {
		return e, tidewaiter.Invalid("ca-cert", "%s is empty", f.CACert).WithFix("it has to hold a certificate in PEM")
	}
	return e, nil
}

// pickScheme changes the endpoint to http where nothing speaks https and a registry answers over http: for hosts on this
// machine, as Docker does, and for any host with --insecure. No other host is asked over http, since whoever sits between
// could read the password and write the answers.
func (f accessFlags) pickScheme(ctx context.Context, client *oci.Client, e oci.Endpoint) (oci.Endpoint, error) {
	u, err := url.Parse(e.URL)
	if err != nil || !f.Insecure && !isThisMachine(u.Hostname()) {
		return e, err
	}
	if answers, err := ping(ctx, client, e); answers || err != nil {
		return e, err
	}
	plain := e
	plain.URL = "http" + strings.TrimPrefix(e.URL, "https")
	if answers, err := ping(ctx, client, plain); answers || err != nil {
		return plain, err
	}
	return e, nil // what is wrong with https is the better explanation
}

// ping reports whether something at the endpoint's address speaks its scheme, whatever it answers.
func ping(ctx context.Context, client *oci.Client, e oci.Endpoint) (answers bool, err error) {
	registry, err := client.Registry(e)
	if err != nil {
		return false, err
	}
	switch err := registry.Ping(ctx); tidewaiter.KindOf(err) {
	case tidewaiter.ErrTLS, tidewaiter.ErrUnreachable, tidewaiter.ErrTransient:
		return false, ctx.Err()
	}
	return true, ctx.Err()
}

// explained adds to a registry's error which flags may help.
func explained(err error) error {
	hint := map[tidewaiter.ErrorKind]string{
		tidewaiter.ErrAuth: "log in with --username and --password-stdin, or beforehand with `docker login`",
		tidewaiter.ErrTLS:  "--ca-cert FILE trusts another authority; --insecure trusts any certificate, and uses http where there is no https",
	}[tidewaiter.KindOf(err)]
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w\nhint: %s", err, hint)
}

// isThisMachine reports whether a host name means the machine itself without anybody being asked.
func isThisMachine(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
