package doctor_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/doctor"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// visit is an examination, and what must not be in its report.
type visit struct {
	*testing.T
	options doctor.Options

	mu     sync.Mutex
	secret []string // also every token and password that was sent
}

func newVisit(t *testing.T) *visit {
	v := &visit{T: t}
	v.options = doctor.Options{Client: oci.Options{AllowLoopback: true, Backoff: time.Millisecond, Observe: v.see}, Version: "1.2.3"}
	return v
}

func (v *visit) see(r *http.Response) {
	_, sent, _ := strings.Cut(r.Request.Header.Get("Authorization"), " ")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secret = append(v.secret, sent, r.Request.Header.Get("Private-Token"))
	if _, password, ok := r.Request.BasicAuth(); ok {
		v.secret = append(v.secret, password)
	}
}

// examine makes a report, and fails when it holds a secret in any form.
func (v *visit) examine(p doctor.Patient) *doctor.Report {
	v.Helper()
	r, err := doctor.Examine(v.Context(), v.options, p)
	if err != nil {
		v.Fatal(err)
	}
	asJSON, err := json.Marshal(r)
	if err != nil {
		v.Fatal(err)
	}
	for name, text := range map[string]string{"json": string(asJSON), "text": r.Text(), "markdown": r.Markdown()} {
		for _, s := range v.secret {
			if len(s) >= 8 && strings.Contains(text, s) {
				v.Errorf("the report as %s holds the secret %.12s…:\n%s", name, s, text)
			}
		}
	}
	return r
}

func rightsOf(r *doctor.Report) map[string]doctor.Right {
	out := map[string]doctor.Right{}
	for _, right := range r.Rights {
		out[right.Name] = right
	}
	return out
}

// secretsOf returns everything of a login that is secret.
func secretsOf(l emulator.Login) (out []string) {
	v := reflect.ValueOf(l)
	for _, name := range []string{"Password", "Token", "SecretAccessKey", "ClientSecret"} {
		out = append(out, v.FieldByName(name).String())
	}
	for line := range strings.Lines(string(l.PrivateKey) + string(l.ClientCertificate) + string(l.ServiceAccountJSON)) {
		if line = strings.TrimSpace(line); len(line) > 32 && !strings.HasPrefix(line, "-----") {
			out = append(out, line)
		}
	}
	return out
}

// TestEveryKind has each kind found out without being told, with a login that may everything and one that may nothing.
func TestEveryKind(t *testing.T) {
	for _, c := range connector.Kinds() {
		t.Run(string(c.Kind), func(t *testing.T) {
			e := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 3, Tags: 4})
			patient := func(plain secret.Value) doctor.Patient {
				registry, credential := *e.Registry, *e.Credential
				registry.Kind = ""
				return doctor.Patient{Registry: &registry, Credential: &credential, Secret: plain}
			}
			v := newVisit(t)
			v.options.Connector.Endpoints = e.Options.Endpoints
			v.secret = secretsOf(e.Emulator.Login())
			r := v.examine(patient(e.Secret))
			if r.Kind.Kind != c.Kind || r.Kind.Certainty == "" || len(r.Kind.Because) == 0 || r.Kind.Claims != "" {
				t.Errorf("kind %+v", r.Kind)
			}
			if s := r.Network.TLS; s == nil || !s.Trusted || len(s.Chain) == 0 || s.Version == "" || !r.Network.Addresses[0].Connects {
				t.Errorf("network %+v", r.Network)
			}
			if r.Clock == nil || len(r.Asked) == 0 {
				t.Errorf("clock %v, %d requests", r.Clock, len(r.Asked))
			}
			for _, right := range r.Rights {
				if !right.OK {
					t.Errorf("right %+v", right)
				}
			}
			if len(r.Rights) != 4 || r.Err() != nil {
				t.Errorf("%d rights, %v", len(r.Rights), r.Err())
			}

			v = newVisit(t)
			v.options.Connector.Endpoints = e.Options.Endpoints
			v.secret = append(secretsOf(e.Emulator.Login()), e.Wrong.Reveal())
			r = v.examine(patient(e.Wrong))
			if r.Kind.Kind != c.Kind || r.OK() || tidewaiter.KindOf(r.Err()) != tidewaiter.ErrAuth {
				t.Errorf("with a wrong secret: kind %s, %v, %+v", r.Kind.Kind, r.Err(), r.Rights)
			}
			if !slices.ContainsFunc(r.Advice, func(s string) bool { return strings.HasPrefix(s, "to ") }) {
				t.Errorf("no advice how to grant what is missing: %q", r.Advice)
			}
		})
	}
}

func push(t *testing.T, s *testkit.Server, repository string) {
	t.Helper()
	m := samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n")).MustBuild()
	p, err := samples.NewPusher(s.URL, samples.Options{Username: s.Username, Password: s.Password, Insecure: s.CA != nil})
	if err == nil {
		err = p.Push(t.Context(), repository, m, "v1")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRealRegistry(t *testing.T) {
	const user, password = "reader", "harbour-pilot-7"
	look := func(t *testing.T, s *testkit.Server, change ...func(*doctor.Patient)) *doctor.Report {
		v := newVisit(t)
		v.secret = []string{password}
		p := doctor.Patient{Registry: &tidewaiter.Registry{URL: s.URL, TLS: tidewaiter.TLS{CACert: string(s.CA)}}}
		if s.Username != "" {
			p.Credential, p.Secret = &tidewaiter.Credential{Username: user}, secret.New(password)
		}
		for _, f := range change {
			f(&p)
		}
		return v.examine(p)
	}
	t.Run("open", func(t *testing.T) {
		r := look(t, testkit.Registry(t, testkit.Options{}))
		rights := rightsOf(r)
		if r.Kind.Kind != tidewaiter.KindOCI || !rights[doctor.RightRepositories].OK || !rights[doctor.RightPull].Untried || !r.OK() {
			t.Errorf("%+v %+v", r.Kind, rights)
		}
	})
	t.Run("token and small pages", func(t *testing.T) {
		s := testkit.Registry(t, testkit.Options{Username: user, Password: password, TokenAuth: true, CatalogMax: 5})
		for i := range 8 {
			push(t, s, "team/app-"+string(rune('a'+i)))
		}
		r := look(t, s)
		if !r.OK() || r.Token == nil || r.Token.Life <= 0 || len(r.Login) == 0 || r.Login[0].Scheme != "bearer" {
			t.Errorf("%+v, token %+v, login %+v", r.Rights, r.Token, r.Login)
		}
		catalog := r.Pages[0]
		if !slices.Contains(catalog.Quirks, oci.QuirkSizeRefused) || catalog.List != "_catalog" {
			t.Errorf("%+v", catalog)
		}
	})
	t.Run("basic and relative links", func(t *testing.T) {
		s := testkit.Registry(t, testkit.Options{Username: user, Password: password, TLS: testkit.TLSTrusted})
		push(t, s, "team/a")
		push(t, s, "team/b")
		r := look(t, s)
		if !r.OK() || r.Login[0].Scheme != "basic" || !slices.Contains(r.Pages[0].Quirks, oci.QuirkLinkRelative) || !r.Pages[0].Continues {
			t.Errorf("%+v, login %+v, pages %+v", r.Rights, r.Login, r.Pages)
		}
		if r = look(t, s, func(p *doctor.Patient) { p.Secret = secret.New("wrong-password") }); tidewaiter.KindOf(r.Err()) != tidewaiter.ErrAuth {
			t.Errorf("with a wrong password: %v", r.Err())
		}
	})
	t.Run("expired certificate", func(t *testing.T) {
		r := look(t, testkit.Registry(t, testkit.Options{TLS: testkit.TLSExpired}))
		if s := r.Network.TLS; s == nil || s.Trusted || !strings.Contains(s.Error, "expired") || len(s.Chain) == 0 || r.OK() {
			t.Errorf("%+v", r.Network)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		r := look(t, testkit.Registry(t, testkit.Options{TLS: testkit.TLSUnknownCA}))
		if s := r.Network.TLS; s == nil || s.Trusted || !strings.Contains(s.Error, "unknown authority") || tidewaiter.KindOf(r.Err()) != tidewaiter.ErrTLS {
			t.Errorf("%+v, %v", r.Network, r.Err())
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		s.Close()
		v := newVisit(t)
		r := v.examine(doctor.Patient{Registry: &tidewaiter.Registry{URL: s.URL}})
		if tidewaiter.KindOf(r.Err()) != tidewaiter.ErrUnreachable || r.Network.Addresses[0].Connects {
			t.Errorf("%v, %+v", r.Err(), r.Network)
		}
	})
}

// TestClaimedCloudGetsNothing has a registry say that it is Docker Hub: the credential stays with it, and its token server
// elsewhere gets none.
func TestClaimedCloudGetsNothing(t *testing.T) {
	var got []string
	var mu sync.Mutex
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization"))
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	defer thief.Close()
	e, err := emulator.New(emulator.Options{Kind: emulator.OCI, Repositories: 1, Tags: 2, TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.Inject(emulator.Fault{Pattern: `/v2/`, Status: 401, Header: http.Header{
		"Www-Authenticate": {`Bearer realm="` + strings.Replace(thief.URL, "127.0.0.1", "localhost", 1) + `/token",service="registry.docker.io"`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	v := newVisit(t)
	login := e.Login()
	v.secret = secretsOf(login)
	r := v.examine(doctor.Patient{
		Registry:   &tidewaiter.Registry{URL: e.URL, TLS: tidewaiter.TLS{CACert: string(e.CA())}},
		Credential: &tidewaiter.Credential{Username: login.Username}, Secret: secret.New(login.Password),
	})
	if r.Kind.Claims != tidewaiter.KindDockerHub || r.OK() || len(r.Advice) == 0 {
		t.Errorf("kind %+v, rights %+v", r.Kind, r.Rights)
	}
	for _, a := range r.Asked {
		if u, err := url.Parse(a.URL); err == nil && u.Host != e.Host() && u.Host != "" && !strings.HasPrefix(u.Host, "localhost:") {
			t.Errorf("%s was asked", a.URL)
		}
	}
	for _, authorization := range got {
		if authorization != "" {
			t.Errorf("another host was sent %.20q", authorization)
		}
	}
}

func TestLimitsAndClockAreSeen(t *testing.T) {
	e, err := emulator.New(emulator.Options{Kind: emulator.Harbor, Repositories: 2, Tags: 2, Limit: &emulator.Limit{Requests: 500, Window: time.Hour, Pause: emulator.PauseReset}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	late := time.Now().Add(-20 * time.Minute).UTC().Format(http.TimeFormat)
	if err := e.Inject(emulator.Fault{Header: http.Header{"Date": {late}}}); err != nil {
		t.Fatal(err)
	}
	v := newVisit(t)
	login := e.Login()
	r := v.examine(doctor.Patient{Registry: &tidewaiter.Registry{URL: e.URL}, Credential: &tidewaiter.Credential{Username: login.Username}, Secret: secret.New(login.Password)})
	if len(r.Limits) != 1 || r.Limits[0].Limit != 500 || r.Limits[0].Remaining < 0 || r.Limits[0].Reset <= 0 {
		t.Errorf("limits %+v", r.Limits)
	}
	if r.Clock == nil || r.Clock.Ahead > -19*time.Minute || r.Clock.Ahead < -21*time.Minute {
		t.Errorf("clock %+v", r.Clock)
	}
	if !slices.ContainsFunc(r.Advice, func(s string) bool { return strings.Contains(s, "clocks differ") }) {
		t.Errorf("advice %q", r.Advice)
	}
}

func TestPageHabits(t *testing.T) {
	for kind, want := range map[emulator.Kind]string{
		emulator.DockerHub: oci.QuirkSizeIgnored, emulator.Quay: oci.QuirkOpaque, emulator.OCI: oci.QuirkLinkRelative,
	} {
		e := connectortest.Emulate(t, tidewaiter.RegistryKind(kind), emulator.Options{Repositories: 2, Tags: 3})
		v := newVisit(t)
		v.options.Connector.Endpoints = e.Options.Endpoints
		r := v.examine(doctor.Patient{Registry: e.Registry, Credential: e.Credential, Secret: e.Secret})
		last := r.Pages[len(r.Pages)-1]
		if !slices.Contains(last.Quirks, want) {
			t.Errorf("%s: %+v, want %q", kind, r.Pages, want)
		}
	}
}

func TestMarkdownIsText(t *testing.T) {
	r := doctor.Report{URL: "https://x", Advice: []string{"<img src=x> [a](b) *c* @everyone"}}
	text := r.Markdown()
	if strings.Contains(text, "<img") || strings.Contains(text, "[a](b)") || strings.Contains(text, "@everyone") {
		t.Errorf("markup of a stranger: %s", text)
	}
}
