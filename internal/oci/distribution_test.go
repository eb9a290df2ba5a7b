package oci_test

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"golang.org/x/crypto/bcrypt"
)

// registryBinary finds a CNCF distribution registry. Where there is none, the same paths are covered by the in-process
// registry; only the agreement with the real one is not checked.
func registryBinary(t *testing.T) string {
	t.Helper()
	built, _ := filepath.Abs("../../bin/registry")
	for _, path := range []string{os.Getenv("TIDEWAITER_TEST_REGISTRY"), "registry", built} {
		if path == "" {
			continue
		}
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skip("no registry binary: set TIDEWAITER_TEST_REGISTRY to one to run this test against the real thing")
	return ""
}

// distribution starts a registry over a directory with extra configuration (YAML) and returns its host:port. It is
// stopped with the test.
func distribution(t *testing.T, dir, tls, extra string) string {
	t.Helper()
	binary := registryBinary(t)
	config := filepath.Join(t.TempDir(), "config.yml")
	body := fmt.Sprintf("version: 0.1\nlog: {level: info, formatter: json}\nstorage: {filesystem: {rootdirectory: %s}}\ncatalog: {maxentries: 10}\nhttp:\n  addr: 127.0.0.1:0\n%s%s", dir, tls, extra)
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "serve", config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var log []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		log = append(log, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), "listening on "); ok {
			addr := strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == '"' || r == ' ' })[0]
			go func() {
				for lines.Scan() { // so that the registry never blocks on its log; ends when it does
				}
			}()
			return addr
		}
	}
	t.Fatalf("the registry does not start: %s", strings.Join(log, "\n"))
	return ""
}

func fill(t *testing.T, host string, repositories int) {
	t.Helper()
	image, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range repositories {
		push(t, fmt.Sprintf("%s/team/app%03d:v1", host, i), image, nil)
	}
}

func TestDistributionWithHtpasswd(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte("u:"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	fill(t, distribution(t, data, "", ""), 13)
	host := distribution(t, data, "", "auth: {htpasswd: {realm: test, path: "+file+"}}\n")
	r := open(t, local(t), oci.Endpoint{URL: "http://" + host, Auth: oci.Basic("u", password)})

	// Its catalog holds at most 10 a page and answers 400 to the 1,000 asked for first.
	var names []string
	for cursor, pages := "", 0; ; pages++ {
		some, next, err := r.Repositories(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, some...)
		if cursor = next; next == "" {
			if pages != 1 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if len(names) != 13 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 13 {
		t.Errorf("%d repositories", len(names))
	}
	d, err := r.Head(t.Context(), "team/app001", "v1")
	if err != nil {
		t.Fatal(err)
	}
	if m, _, err := r.Manifest(t.Context(), "team/app001", d.Digest); err != nil || m.Size != d.Size {
		t.Errorf("%+v %v", m, err)
	} else if _, err := func() ([]byte, error) {
		b, err := r.Blob(t.Context(), "team/app001", m.Layers[0])
		if err != nil {
			return nil, err
		}
		defer b.Close()
		_, err = bufio.NewReader(b).WriteTo(discard{})
		return nil, err
	}(); err != nil {
		t.Error(err)
	}
	if refs, err := r.Referrers(t.Context(), "team/app001", d.Digest); err != nil || len(refs) != 0 {
		t.Errorf("referrers %v %v", refs, err)
	}
	_, _, err = r.Tags(t.Context(), "team/none", "")
	wantKind(t, err, tidewaiter.ErrGone, "repository name not known")
	wantKind(t, open(t, local(t), oci.Endpoint{URL: "http://" + host, Auth: oci.Basic("u", "no")}).Ping(t.Context()), tidewaiter.ErrAuth)
	wantKind(t, open(t, local(t), oci.Endpoint{URL: "http://" + host}).Ping(t.Context()), tidewaiter.ErrAuth, "wants a login")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestDistributionWithTLS(t *testing.T) {
	dir := t.TempDir()
	serve := func(name string, until time.Time) (string, string) {
		s := withCertificate(t, nil, []net.IP{net.IPv4(127, 0, 0, 1)}, until.AddDate(-1, 0, 0), until)
		cert, key := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
		der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
		err = cmp.Or(err, os.WriteFile(cert, []byte(certOf(s)), 0o600),
			os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		return "https://" + distribution(t, t.TempDir(), fmt.Sprintf("  tls: {certificate: %s, key: %s}\n", cert, key), ""), certOf(s)
	}
	good, ca := serve("good", time.Now().AddDate(0, 6, 0))
	expired, expiredCA := serve("expired", time.Date(2025, 5, 6, 7, 0, 0, 0, time.UTC))
	wantKind(t, open(t, local(t), oci.Endpoint{URL: good}).Ping(t.Context()), tidewaiter.ErrTLS, "unknown authority")
	wantKind(t, open(t, local(t), oci.Endpoint{URL: expired, TLS: tidewaiter.TLS{CACert: expiredCA}}).Ping(t.Context()), tidewaiter.ErrTLS, "expired on 2025-05-06")
	for _, tls := range []tidewaiter.TLS{{CACert: ca}, {SkipVerify: true}} {
		if err := open(t, local(t), oci.Endpoint{URL: good, TLS: tls}).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wantKind(t, open(t, local(t), oci.Endpoint{URL: strings.Replace(good, "https", "http", 1)}).Ping(t.Context()), tidewaiter.ErrTLS, "expects HTTPS")
}

func TestDistributionWithTokens(t *testing.T) {
	issuer := withCertificate(t, []string{"issuer"}, nil, time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	key := issuer.TLS.Certificates[0].PrivateKey.(*ecdsa.PrivateKey)
	if key.Curve != elliptic.P256() {
		t.Fatal("the key does not fit ES256")
	}
	var asked []string
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		if _, p, ok := r.BasicAuth(); ok && p != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		access := []map[string]any{}
		for _, scope := range r.URL.Query()["scope"] {
			p := strings.Split(scope, ":")
			if _, _, ok := r.BasicAuth(); ok {
				access = append(access, map[string]any{"type": p[0], "name": p[1], "actions": strings.Split(p[2], ",")})
			}
		}
		now := time.Now()
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": "issuer", "aud": "reg", "sub": "u", "jti": rand.Text(), "access": access,
			"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
		})
		token.Header["x5c"] = []string{encodeDER(issuer)}
		signed, err := token.SignedString(key)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"token":%q,"expires_in":3600}`, signed)
	}))
	defer tokens.Close()
	bundle := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(bundle, []byte(certOf(issuer)), 0o600); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	fill(t, distribution(t, data, "", ""), 2) // the pushing client takes no token server on a loopback address
	host := distribution(t, data, "", fmt.Sprintf("auth: {token: {realm: %s/token, service: reg, issuer: issuer, rootcertbundle: %s}}\n", tokens.URL, bundle))

	// The token server is another port of the same host: allowed without naming it.
	r := open(t, local(t), oci.Endpoint{URL: "http://" + host, Auth: oci.Basic("u", password)})
	names, _, err := r.Repositories(t.Context(), "")
	if err != nil || len(names) != 2 {
		t.Fatalf("%v %v", names, err)
	}
	for range 3 {
		if _, _, err := r.Manifest(t.Context(), "team/app000", "v1"); err != nil {
			t.Fatal(err)
		}
	}
	if len(asked) != 2 {
		t.Errorf("%d tokens for two scopes: %v", len(asked), asked)
	}
	_, _, err = open(t, local(t), oci.Endpoint{URL: "http://" + host, Auth: oci.Basic("u", "no")}).Repositories(t.Context(), "")
	wantKind(t, err, tidewaiter.ErrAuth, "token server")
	anonymous := open(t, local(t), oci.Endpoint{URL: "http://" + host})
	if err := anonymous.Ping(t.Context()); err != nil {
		t.Errorf("anonymous ping with an anonymous token: %v", err)
	}
	_, _, err = anonymous.Repositories(t.Context(), "")
	wantKind(t, err, tidewaiter.ErrDenied, "name the repositories")
	_, _, err = anonymous.Tags(t.Context(), "team/app000", "")
	wantKind(t, err, tidewaiter.ErrAuth, "wants a login")
}
