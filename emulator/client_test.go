package emulator_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// start runs an emulator as long as the test. Without sizes the fleet needs several pages of whatever small size.
func start(t *testing.T, o emulator.Options) *emulator.Emulator {
	t.Helper()
	if o.Repositories == 0 {
		o.Repositories, o.Tags, o.Namespaces = 9, 27, []string{"acme", "beta"}
	}
	e, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// answer is an answer that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// client sends requests with some headers to one emulator.
type client struct {
	t      *testing.T
	e      *emulator.Emulator
	http   *http.Client
	header http.Header
}

func newClient(t *testing.T, e *emulator.Emulator, header ...string) *client {
	t.Helper()
	transport := &http.Transport{}
	if ca := e.CA(); ca != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			t.Fatal("no certificate in CA")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(transport.CloseIdleConnections)
	c := &client{t: t, e: e, http: &http.Client{Transport: transport}, header: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		c.header.Set(header[i], header[i+1])
	}
	return c
}

func (c *client) do(method, address, contentType string, body []byte) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = maps.Clone(c.header)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

func (c *client) get(address string) answer { c.t.Helper(); return c.do("GET", address, "", nil) }

// json gets a document and fails on any status but 200.
func (c *client) json(address string, doc any) answer {
	c.t.Helper()
	a := c.get(address)
	a.decode(c.t, doc)
	return a
}

func (a answer) decode(t *testing.T, doc any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %.300s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, doc); err != nil {
		t.Fatalf("%v in %.300s", err, a.body)
	}
}

func (c *client) form(address string, values url.Values) answer {
	c.t.Helper()
	return c.do("POST", address, "application/x-www-form-urlencoded", []byte(values.Encode()))
}

func (c *client) basic(user, password string) *client {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	c.header.Set("Authorization", r.Header.Get("Authorization"))
	return c
}

var linkNext = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// next is the address of the next page by the Link header, "" for none.
func (a answer) next(t *testing.T, address string) string {
	t.Helper()
	m := linkNext.FindStringSubmatch(strings.Join(a.header.Values("Link"), ","))
	if m == nil {
		return ""
	}
	here, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	there, err := here.Parse(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return there.String()
}

// fleet is repositories by name, as the registry API has them, with the digest of each tag.
type fleet map[string]map[string]string

func (f fleet) add(repository, tag, digest string) {
	if f[repository] == nil {
		f[repository] = map[string]string{}
	}
	f[repository][tag] = digest
}

// truth is what an emulator holds.
func truth(e *emulator.Emulator, tags []string) fleet {
	f := fleet{}
	for _, repository := range e.Repositories() {
		for _, tag := range tags {
			f.add(repository, tag, e.Digest(repository, tag))
		}
	}
	return f
}

var challengeField = regexp.MustCompile(`(\w+)="([^"]*)"`)

// registryToken does what a challenge says and returns a client with the token it led to.
func registryToken(t *testing.T, e *emulator.Emulator, address, user, password string) (*client, int) {
	t.Helper()
	first := newClient(t, e).get(address)
	challenge := first.header.Get("WWW-Authenticate")
	if first.status != http.StatusUnauthorized || challenge == "" {
		t.Fatalf("%s: status %d, challenge %q", address, first.status, challenge)
	}
	if strings.HasPrefix(challenge, "Basic") {
		c := newClient(t, e).basic(user, password)
		return c, c.get(address).status
	}
	fields := map[string]string{}
	for _, m := range challengeField.FindAllStringSubmatch(challenge, -1) {
		fields[m[1]] = m[2]
	}
	q := url.Values{"service": {fields["service"]}}
	if fields["scope"] != "" {
		q.Set("scope", fields["scope"])
	}
	a := newClient(t, e).basic(user, password).get(fields["realm"] + "?" + q.Encode())
	if a.status != http.StatusOK {
		return nil, a.status
	}
	var doc struct {
		Token  string `json:"token"`
		Access string `json:"access_token"`
	}
	a.decode(t, &doc)
	if doc.Token == "" {
		doc.Token = doc.Access
	}
	c := newClient(t, e, "Authorization", "Bearer "+doc.Token)
	return c, c.get(address).status
}
