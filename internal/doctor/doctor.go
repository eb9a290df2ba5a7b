// Package doctor finds out about one registry what somebody would want to know who has to make it work: what kind it is, how
// it is reached, what a credential may do there and how to grant what it may not, and which habits it has. Its Report can be
// pasted in a ticket: it holds no secret.
//
// What kind a registry is, is asked without any credential. The credential then goes where the connector of that kind sends
// it, which is where it was given for: a registry that only claims to be a vendor's cloud is treated as any other.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Options configures a Doctor. The zero value is usable.
type Options struct {
	Client    oci.Options
	Connector connector.Options // addresses of vendors' services, a login for whoever gives none
	Version   string            // of this program
	Time      time.Duration     // of an examination; 0 is a minute
}

// Patient is the registry to look at. Kind "" finds out. Credential nil is anonymous; its kind "" takes the first that fits
// what is given.
type Patient struct {
	Registry   *tidewaiter.Registry
	Credential *tidewaiter.Credential
	Secret     secret.Value
}

// Examine looks at a registry. Whatever is wrong with it is in the Report; an error is an address that cannot be one.
func Examine(ctx context.Context, o Options, p Patient) (*Report, error) {
	if _, err := tidewaiter.ParseRegistryURL(p.Registry.URL); err != nil {
		return nil, err
	}
	if o.Client.Now == nil {
		o.Client.Now = time.Now
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Time, time.Minute))
	defer cancel()
	w := &watch{now: o.Client.Now}
	if also := o.Client.Observe; also != nil {
		o.Client.Observe = func(r *http.Response) { w.see(r); also(r) }
	} else {
		o.Client.Observe = w.see
	}
	stored := &storedLogin{auth: o.Connector.Anonymous}
	if stored.auth != nil {
		o.Connector.Anonymous = stored.get
	}
	client := oci.New(o.Client)
	defer client.Close()
	registry := *p.Registry
	x := &examination{
		options: o, client: client, watch: w, registry: &registry, credential: p.Credential, secret: p.Secret, trace: oci.NewTrace(0),
		report: &Report{At: o.Client.Now().UTC(), Version: o.Version, URL: registry.URL, Host: registry.Host()},
	}
	if err := x.all(ctx); err != nil {
		return nil, err
	}
	x.report.scrub(append(secretsOf(p.Secret), stored.secrets()...)...)
	return x.report, nil
}

type examination struct {
	options    Options
	client     *oci.Client
	watch      *watch
	registry   *tidewaiter.Registry
	credential *tidewaiter.Credential
	secret     secret.Value
	trace      *oci.Trace
	report     *Report
}

func (x *examination) all(ctx context.Context) error {
	r := x.report
	network, err := x.client.Examine(ctx, oci.Endpoint{URL: x.registry.URL, TLS: x.registry.TLS})
	if err != nil && tidewaiter.KindOf(err) == tidewaiter.ErrInvalid {
		return err
	}
	if err != nil {
		network.Error = err.Error()
	}
	r.Network = network
	if network.Proxy != "" || x.connects() {
		x.ask(ctx)
		x.rights(ctx)
	}
	r.Limits, r.Clock = x.watch.limits(), x.watch.clock()
	r.Requests = x.trace.Requests()
	for _, e := range x.trace.Entries() {
		r.Asked = append(r.Asked, askedOf(e))
	}
	r.advise(x)
	return nil
}

func (x *examination) connects() bool {
	for _, a := range x.report.Network.Addresses {
		if a.Connects {
			return true
		}
	}
	return false
}

// ask finds out, without a credential, what kind of registry it is.
func (x *examination) ask(ctx context.Context) {
	d := detection{client: x.client, registry: x.registry, trace: x.trace}
	found := d.run(ctx)
	r := x.report
	r.Kind, r.Login, r.Headers = found.kind, found.challenges, found.headers
	switch declared := x.registry.Kind; {
	case declared != "":
		if r.Kind.Kind != declared && r.Kind.Certainty != "" {
			r.Kind.Other, r.Kind.Kind = r.Kind.Kind, declared
		}
	case x.mayBe(r.Kind.Kind):
		x.registry.Kind = r.Kind.Kind
	default:
		r.Kind.Claims = r.Kind.Kind
		x.registry.Kind = tidewaiter.KindOCI
	}
}

// clouds are the kinds whose credentials go to the vendor's own hosts, with the name of the service that replaces them. What
// is not at such a host is not believed to be one.
var clouds = map[tidewaiter.RegistryKind][]string{
	tidewaiter.KindDockerHub: {"hub"}, tidewaiter.KindECR: {"ecr", "ecr-public"}, tidewaiter.KindACR: {"azure-authority"},
	tidewaiter.KindGAR: {"gar"}, tidewaiter.KindGHCR: {"github"}, tidewaiter.KindIBM: {"iam"}, tidewaiter.KindOCIR: {"ocir"},
}

func (x *examination) mayBe(kind tidewaiter.RegistryKind) bool {
	services, cloud := clouds[kind]
	if !cloud {
		return kind != ""
	}
	for _, s := range services {
		if x.options.Connector.Endpoints[s] != "" {
			return true
		}
	}
	return kindOfHost(x.registry.URL) == kind
}

// login completes the credential, once the kind is known.
func (x *examination) login() (*tidewaiter.Credential, error) {
	if x.credential == nil {
		return nil, nil
	}
	c := *x.credential
	if c.Kind != "" {
		return &c, nil
	}
	can, ok := connector.CapabilitiesOf(x.registry.Kind)
	if !ok {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "there is no registry kind %q", x.registry.Kind)
	}
	form, ok := can.Form(func(key string) bool {
		switch key {
		case "username":
			return c.Username != ""
		case "secret":
			return !x.secret.IsZero()
		}
		return c.Settings[key] != "" || x.registry.Settings[key] != ""
	})
	if !ok {
		return nil, tidewaiter.Invalid("credential", "what is given is no complete credential for a registry of kind %s", can.Kind).WithFix("%s", can.FormsText())
	}
	c.Kind = form.Kind
	return &c, nil
}

// messageOf splits an error into its sentence and its remedy.
func messageOf(err error) (message, fix string) {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e.Msg, e.Fix
	}
	return err.Error(), ""
}

// storedLogin notes what a login found elsewhere holds, so that it can be kept out of the report.
type storedLogin struct {
	auth oci.Auth

	mu   sync.Mutex
	seen []string
}

func (s *storedLogin) get(ctx context.Context, host string) (oci.Credential, error) {
	c, err := s.auth(ctx, host)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range []string{c.Password, c.IdentityToken, c.AccessToken} {
		if !slices.Contains(s.seen, secret) {
			s.seen = append(s.seen, secret)
		}
	}
	return c, err
}

func (s *storedLogin) secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// secretsOf returns what must not be in a report: the secret, and its parts where it is a document.
func secretsOf(s secret.Value) []string {
	plain := s.Reveal()
	if plain == "" {
		return nil
	}
	out := []string{plain, url.QueryEscape(plain)}
	for _, part := range strings.FieldsFunc(plain, func(r rune) bool { return r == '"' || r <= ' ' }) {
		if len(part) >= 12 {
			out = append(out, part)
		}
	}
	return out
}
