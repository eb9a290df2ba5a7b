package connector_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// count returns how many requests the emulator saw that match.
func count(t *testing.T, s *connectortest.Emulated, pattern string) int {
	t.Helper()
	seen, err := s.Emulator.Requests(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return len(seen)
}

func small() emulator.Options { return emulator.Options{Repositories: 2, Tags: 12} }

func TestECRPasswordThatExpiredLongAgo(t *testing.T) {
	o := small()
	o.ClaimedExpiry = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	s := connectortest.Emulate(t, tidewaiter.KindECR, o)
	source := s.Open(t)
	for range 20 {
		if _, err := source.Head(t.Context(), s.Repositories[0], "latest"); err != nil {
			t.Fatal(err)
		}
	}
	tokens := 0
	for endpoint, n := range s.Emulator.Counts() {
		if strings.Contains(endpoint, "GetAuthorizationToken") {
			tokens += n
		}
	}
	if tokens != 1 {
		t.Errorf("%d passwords for 20 requests: %v", tokens, s.Emulator.Counts())
	}
}

func TestECRRole(t *testing.T) {
	o := small()
	o.RequireRole = true
	o.Login.RoleARN, o.Login.ExternalID = "arn:aws:iam::123456789012:role/reader", "ext-1"
	s := connectortest.Emulate(t, tidewaiter.KindECR, o)
	_, _, err := s.Open(t).Repositories(t.Context(), "")
	if tidewaiter.KindOf(err) != tidewaiter.ErrDenied && tidewaiter.KindOf(err) != tidewaiter.ErrAuth {
		t.Errorf("without the role: %v", err)
	}
	s.Credential.Settings["roleArn"], s.Credential.Settings["externalId"] = "reader", "ext-1" // a name is completed to an ARN
	s.Lists(t)
	s.Pulls(t)
	s.Credential.Settings["externalId"] = "other"
	_, _, err = s.Open(t).Repositories(t.Context(), "")
	if tidewaiter.KindOf(err) != tidewaiter.ErrDenied {
		t.Errorf("with another external ID: %v", err)
	}
}

func TestACRCertificate(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindACR, small())
	s.Secret = secret.New(string(s.Emulator.Login().ClientCertificate))
	s.Lists(t)
	s.Pulls(t)
}

func TestACRPassword(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindACR, small())
	l := s.Emulator.Login()
	s.Credential.Kind, s.Credential.Username, s.Secret = tidewaiter.CredentialBasic, l.Username, secret.New(l.Password)
	s.Wrong = secret.New("no")
	s.Lists(t)
	s.Pulls(t)
	s.RefusesWrongSecrets(t)
}

func TestGoogleMachineAccount(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	o := small()
	s := connectortest.Emulate(t, tidewaiter.KindGAR, o)
	// The metadata service speaks plain HTTP; this one has a certificate nobody knows, so a key file stands in for it.
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, []byte(s.Secret.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	s.Secret = secret.Value{}
	s.Lists(t)
	s.Pulls(t)
}

func TestOCIRPassword(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOCIR, small())
	l := s.Emulator.Login()
	s.Credential.Kind, s.Credential.Username, s.Secret = tidewaiter.CredentialBasic, l.Username, secret.New(l.Password)
	s.Pulls(t)
}

func TestQuayRobotAlone(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindQuay, small())
	l := s.Emulator.Login()
	s.Credential.Username, s.Secret = l.Username, secret.New(l.Password)
	s.Pulls(t) // and lists by the distribution API
	if n := count(t, s, "/api/v1/"); n != 0 {
		t.Errorf("a robot was sent to Quay's API %d times", n)
	}
}

func TestQuayToken(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindQuay, small())
	s.Credential.Kind, s.Credential.Username, s.Secret = tidewaiter.CredentialToken, "", secret.New(s.Emulator.Login().Token)
	s.Lists(t)
}

func TestGitLabUser(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindGitLab, emulator.Options{Repositories: 7, Tags: 3})
	delete(s.Registry.Settings, "groupIDs")
	s.Registry.Settings["userID"] = "acme"
	s.Lists(t)
}

func TestOpenShiftTokenFile(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOpenShift, small())
	dir := t.TempDir()
	path := filepath.Join(dir, "serviceaccount", "token")
	write := func(token string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(s.Secret.Reveal())
	s.Secret, s.Options.TokenFiles = secret.Value{}, dir
	s.Credential.Settings["tokenFile"] = path
	source := s.Open(t)
	if _, _, err := source.Repositories(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	l, err := s.Emulator.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	write(l.Token)
	if _, _, err := source.Repositories(t.Context(), ""); err != nil {
		t.Errorf("after the token in the file changed: %v", err)
	}
	if _, err := source.Head(t.Context(), s.Repositories[0], "latest"); err != nil {
		t.Errorf("after the token in the file changed: %v", err)
	}
}

func TestOpenShiftKubeconfig(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOpenShift, small())
	s.Credential.Kind = tidewaiter.CredentialKubeconfig
	s.Secret = secret.New(`{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],
		"clusters":[{"name":"k","cluster":{"server":"` + s.Emulator.API + `"}}],"users":[{"name":"u","user":{"token":"` + s.Secret.Reveal() + `"}}]}`)
	delete(s.Options.Endpoints, "kubernetes")
	s.Lists(t)
	s.Pulls(t)
}

func TestArtifactoryPlaces(t *testing.T) {
	for _, c := range []struct {
		name, layout string
		settings     map[string]string
	}{
		{"path, remote", "path", map[string]string{"repoTypes": "local,remote,virtual"}},
		{"port", "port", map[string]string{"namingMode": "port", "repository": "docker-local"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := small()
			o.Layout = c.layout
			s := connectortest.Emulate(t, tidewaiter.KindArtifactory, o)
			s.Registry.Settings = c.settings
			source := s.Open(t)
			names := map[string]bool{}
			for cursor := ""; ; {
				some, next, err := source.Repositories(t.Context(), cursor)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range some {
					if names[n] {
						t.Errorf("%s is listed twice", n)
					}
					names[n] = true
					if strings.Contains(n, "virtual") {
						t.Errorf("%s is in others already", n)
					}
				}
				if next == "" {
					break
				}
				cursor = next
			}
			for _, n := range s.Repositories {
				if !names[n] {
					t.Errorf("%s is missing from %v", n, names)
				}
			}
			s.Pulls(t)
		})
	}
}

func TestDockerHubLibrary(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindDockerHub, emulator.Options{Repositories: 2, Tags: 3, Namespaces: []string{"library"}})
	_, short, _ := strings.Cut(s.Repositories[0], "/")
	source := s.Open(t)
	tags, _, err := source.Tags(t.Context(), short, "")
	if err != nil || len(tags) != 3 {
		t.Fatalf("%d tags of %s: %v", len(tags), short, err)
	}
	if _, _, err := source.Manifest(t.Context(), short, "latest"); err != nil {
		t.Error(err)
	}
	s.Registry.Settings["organization"] = ""
	s.Credential = nil
	_, _, err = s.OpenWith(t, s.Client(t, nil), secret.Value{}).Repositories(t.Context(), "")
	if tidewaiter.KindOf(err) != tidewaiter.ErrUnsupported || !strings.Contains(err.Error(), "organization") {
		t.Errorf("without an organisation: %v", err)
	}
}

func TestOpenShiftTokenFilesElsewhereAreNotRead(t *testing.T) {
	s := connectortest.Emulate(t, tidewaiter.KindOpenShift, small())
	dir := t.TempDir()
	s.Options.TokenFiles = filepath.Join(dir, "tokens")
	for _, path := range []string{"/etc/passwd", filepath.Join(dir, "tokens", "..", "x"), filepath.Join(dir, "tokensx"), s.Options.TokenFiles, "tokens/x"} {
		s.Credential.Settings["tokenFile"] = path
		_, err := connector.NewWithOptions(s.Client(t, nil), nil, nil, s.Options).Connect(s.Registry, s.Credential, secret.Value{}, nil)
		if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestGoogleMetadata has the token of the machine's own service account, which the metadata service gives without TLS.
func TestGoogleMetadata(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	s := connectortest.Emulate(t, tidewaiter.KindGAR, small())
	network := s.Client(t, nil)
	token := ""
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/token" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599}`, token)
	}))
	defer metadata.Close()
	token = machineToken(t, s, network)
	s.Options.Endpoints["google-metadata"] = metadata.URL
	s.Secret = secret.Value{}
	s.Registry.Settings["projectId"] = s.Emulator.Login().Project
	s.Lists(t)
	s.Pulls(t)
}

// machineToken has the emulator's own metadata service give a token.
func machineToken(t *testing.T, s *connectortest.Emulated, client *oci.Client) string {
	t.Helper()
	plain, err := client.HTTP(oci.Endpoint{TLS: s.Registry.TLS})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Emulator.API+"/computeMetadata/v1/instance/service-accounts/default/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("%d: %v", resp.StatusCode, err)
	}
	return answer.Token
}
