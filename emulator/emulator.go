package emulator

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Kind says which registry is emulated. The values are those of a declared registry's kind.
type Kind string

// The kinds.
const (
	OCI         Kind = "oci"
	DockerHub   Kind = "dockerhub"
	ECR         Kind = "ecr"
	ACR         Kind = "acr"
	GAR         Kind = "gar"
	Artifactory Kind = "artifactory"
	Nexus       Kind = "nexus"
	Quay        Kind = "quay"
	Harbor      Kind = "harbor"
	GitLab      Kind = "gitlab"
	GHCR        Kind = "ghcr"
	OpenShift   Kind = "openshift"
	DTR         Kind = "dtr"
	IBM         Kind = "ibm"
	OCIR        Kind = "ocir"
)

// surfaces says how each kind is served.
func surfaces() map[Kind]func(*Emulator) surface {
	return map[Kind]func(*Emulator) surface{
		OCI: (*Emulator).plain, DockerHub: (*Emulator).dockerHub, ECR: (*Emulator).ecr, ACR: (*Emulator).acr,
		GAR: (*Emulator).gar, Artifactory: (*Emulator).artifactory, Nexus: (*Emulator).nexus, Quay: (*Emulator).quay,
		Harbor: (*Emulator).harbor, GitLab: (*Emulator).gitlab, GHCR: (*Emulator).ghcr,
		OpenShift: (*Emulator).openshift, DTR: (*Emulator).dtr, IBM: (*Emulator).ibm, OCIR: (*Emulator).ocir,
	}
}

// Kinds returns all kinds in the order of their names.
func Kinds() []Kind { return slices.Sorted(maps.Keys(surfaces())) }

// Options says what to emulate. The zero value of everything but Kind has a default.
type Options struct {
	Kind Kind

	// The fleet. Equal options make equal content, byte for byte.
	Repositories int           // 10
	Tags         int           // a repository; 10. The last of two or more is "latest" and points where the one before points
	Namespaces   []string      // organisations, projects, groups: repositories are spread evenly; "acme"
	Seed         uint64        // another seed, other digests
	Indexes      int           // every how many-th tag is a multi-platform index; 8; negative for none
	Artifacts    int           // every how many-th tag is a chart, not an image; 25; negative for none
	Layers       int           // distinct upper layers in the fleet; 32, at most 4096
	Newest       time.Time     // when the newest tag was pushed; 2026-01-01
	Step         time.Duration // between two pushes to a repository; 10 minutes

	Login         Login         // what gets in; what is left empty is made up
	TokenLife     time.Duration // how long tokens work; the kind's own life where 0
	ClaimedExpiry time.Time     // the end ECR's tokens claim to have, whatever is true; zero: the truth
	RequireRole   bool          // ECR: the keys may only assume the role
	Plain         bool          // OCI: basic authentication instead of a token service
	Anonymous     bool          // OCI: anybody may read
	Layout        string        // Artifactory: how images are named: "path" (default), "subdomain" or "port"
	MaxPage       int           // OCI: largest page of the catalog; 1000
	Public        bool          // ECR: the public registry: its own API, anonymous pulls
	RedirectBlobs bool          // blobs lie in a store on another address that refuses the registry's credentials

	Limit  *Limit // requests allowed in a time; nil for no limit
	Listen string // address to listen on; 127.0.0.1:0
	Name   string // what the registry is called in place of its address, which whoever uses it has to resolve; "" is the address
	TLS    bool   // https with a certificate of CA

	Now func() time.Time // the clock; time.Now
}

func (o *Options) complete() error {
	set(&o.Repositories, 10)
	set(&o.Tags, 10)
	set(&o.Indexes, 8)
	set(&o.Artifacts, 25)
	set(&o.Layers, 32)
	set(&o.MaxPage, 1000)
	set(&o.Step, 10*time.Minute)
	set(&o.Listen, "127.0.0.1:0")
	set(&o.Layout, "path")
	set(&o.Newest, time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC))
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Namespaces) == 0 {
		o.Namespaces = []string{"acme"}
	}
	o.Namespaces = slices.Clone(o.Namespaces)
	slices.SortFunc(o.Namespaces, func(a, b string) int { return compare(a+"/", b+"/") })
	switch {
	case o.Repositories < 0 || o.Repositories > maxRepositories:
		return fmt.Errorf("repositories: %d is not between 1 and %d", o.Repositories, maxRepositories)
	case o.Tags < 0 || o.Tags > maxTags:
		return fmt.Errorf("tags: %d is not between 1 and %d", o.Tags, maxTags)
	case o.Layers < 0 || o.Layers > maxLayers:
		return fmt.Errorf("layers: %d is not between 1 and %d", o.Layers, maxLayers)
	case !slices.Contains([]string{"path", "subdomain", "port"}, o.Layout):
		return fmt.Errorf("layout: %q is none of path, subdomain, port", o.Layout)
	}
	return nil
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// surface is what a kind serves: the registry on its own address and, where the vendor has its API elsewhere, that API on
// another one.
type surface struct {
	registry  http.Handler
	api       http.Handler // nil where everything has one address
	endpoints map[string]string
}

// Emulator is a running registry. It is safe for concurrent use.
type Emulator struct {
	URL     string // of the registry, as an image's name begins with it, after the scheme
	Address string // host and port the registry listens on, whatever its name
	API     string // of the vendor's API; the same as URL where the registry serves that itself

	o         Options
	fleet     *fleet
	keys      keys
	ca        []byte
	endpoints map[string]string
	servers   []*http.Server
	running   sync.WaitGroup

	faults faults
	record recorder
	limit  *limiter
	queue  *messageQueue

	mu         sync.RWMutex
	login      Login
	generation int // tokens of an earlier one are refused
}

// New starts an emulator. Close ends it. It fails on an unknown kind, on sizes out of range, or when it cannot listen.
func New(o Options) (*Emulator, error) {
	build, ok := surfaces()[o.Kind]
	if !ok {
		return nil, fmt.Errorf("emulate: no kind of registry is called %q", o.Kind)
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("emulate %s: %w", o.Kind, err)
	}
	e := &Emulator{o: o, limit: newLimiter(o.Limit), queue: newMessageQueue()}
	if _, err := rand.Read(e.keys.token[:]); err != nil {
		return nil, fmt.Errorf("emulate %s: %w", o.Kind, err)
	}
	var err error
	if e.fleet, err = newFleet(o); err != nil {
		return nil, fmt.Errorf("emulate %s: %w", o.Kind, err)
	}
	if err := e.listen(build); err != nil {
		return nil, errors.Join(fmt.Errorf("emulate %s: %w", o.Kind, err), e.Close())
	}
	return e, nil
}

// listen opens both addresses, then makes the login, which may name them, and serves.
func (e *Emulator) listen(build func(*Emulator) surface) error {
	var config *tls.Config
	scheme := "http://"
	if e.o.TLS {
		certificate, ca, err := newCertificate(time.Now(), e.o.Name)
		if err != nil {
			return err
		}
		e.ca, scheme = ca, "https://"
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	host, _, err := net.SplitHostPort(e.o.Listen)
	if err != nil {
		return fmt.Errorf("address %q: %w", e.o.Listen, err)
	}
	var listeners []net.Listener
	for _, address := range []string{e.o.Listen, net.JoinHostPort(host, "0")} {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			closeAll(listeners)
			return fmt.Errorf("listen on %s: %w", address, err)
		}
		listeners = append(listeners, l)
	}
	e.Address = listeners[0].Addr().String()
	e.URL, e.API = scheme+e.Address, scheme+listeners[1].Addr().String()
	if e.o.Name != "" {
		e.URL = scheme + e.o.Name
	}
	if err := e.makeLogin(); err != nil {
		closeAll(listeners)
		return err
	}
	s := build(e)
	if e.o.RedirectBlobs {
		s.api = e.store(s.api)
	}
	if s.api == nil {
		_ = listeners[1].Close() // nothing has used it
		e.API = e.URL
	} else {
		e.serve(listeners[1], s.api, config)
	}
	e.serve(listeners[0], s.registry, config)
	e.endpoints = s.endpoints
	return nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nothing has used it
	}
}

func (e *Emulator) serve(l net.Listener, h http.Handler, config *tls.Config) {
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := &http.Server{
		Handler: e.observe(h), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // a connection cut on purpose is no news
	}
	e.servers = append(e.servers, server)
	e.running.Go(func() { _ = server.Serve(l) }) // ends by Close
}

// Close cuts all connections and frees the addresses.
func (e *Emulator) Close() error {
	var all error
	for _, s := range e.servers {
		all = errors.Join(all, s.Close())
	}
	e.running.Wait()
	return all
}

// Endpoints returns the base URLs of the vendor's services by name: those a client would otherwise reach at the vendor.
func (e *Emulator) Endpoints() map[string]string { return maps.Clone(e.endpoints) }

// CA returns the authority, in PEM, that signed the certificate; nil without TLS.
func (e *Emulator) CA() []byte { return slices.Clone(e.ca) }

// Host returns the host and port of the registry.
func (e *Emulator) Host() string { return hostOf(e.URL) }

func (e *Emulator) now() time.Time { return e.o.Now() }
