package oci_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// withCertificate starts a TLS server whose self-signed certificate has the given names and end.
func withCertificate(t *testing.T, names []string, ips []net.IP, from, until time.Time) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test registry"}, DNSNames: names, IPAddresses: ips,
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(text(200, "{}"))
	s.Config.ErrorLog = quiet()
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestTLSErrorsSayWhy(t *testing.T) {
	ip := []net.IP{net.IPv4(127, 0, 0, 1)}
	now := time.Now()
	long := now.AddDate(1, 0, 0)
	expired := withCertificate(t, nil, ip, now.AddDate(-2, 0, 0), time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC))
	future := withCertificate(t, nil, ip, time.Date(2090, 1, 2, 3, 4, 0, 0, time.UTC), time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC))
	wrong := withCertificate(t, []string{"registry.example.org"}, nil, now.AddDate(0, 0, -1), long)
	good := withCertificate(t, nil, ip, now.AddDate(0, 0, -1), long)
	for name, c := range map[string]struct {
		server *httptest.Server
		ca     bool
		words  []string
	}{
		"expired":           {expired, true, []string{"expired on 2024-03-01", "renew"}},
		"not yet valid":     {future, true, []string{"not valid before 2090-01-02", "clock"}},
		"wrong name":        {wrong, true, []string{"another name: registry.example.org"}},
		"unknown authority": {good, false, []string{"unknown authority (CN=test registry)", "caCert"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := oci.Endpoint{URL: c.server.URL}
			if c.ca {
				e.TLS.CACert = certOf(c.server)
			}
			wantKind(t, open(t, local(t), e).Ping(t.Context()), tidewaiter.ErrTLS, c.words...)
			e.TLS.SkipVerify = true
			if err := open(t, local(t), e).Ping(t.Context()); err != nil {
				t.Errorf("with verification skipped: %v", err)
			}
		})
	}
	if err := open(t, local(t), oci.Endpoint{URL: good.URL, TLS: tidewaiter.TLS{CACert: certOf(good)}}).Ping(t.Context()); err != nil {
		t.Errorf("with its CA: %v", err)
	}
	_, err := local(t).Registry(oci.Endpoint{URL: good.URL, TLS: tidewaiter.TLS{CACert: "nonsense"}})
	wantKind(t, err, tidewaiter.ErrInvalid, "PEM")
}

func TestPlainAndTLSMixedUp(t *testing.T) {
	plain := httptest.NewServer(text(200, "{}"))
	defer plain.Close()
	secure := httptest.NewUnstartedServer(text(200, "{}"))
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	defer secure.Close()
	err := open(t, local(t), oci.Endpoint{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).Ping(t.Context())
	wantKind(t, err, tidewaiter.ErrTLS, "plain HTTP", "http://127.0.0.1")
	err = open(t, local(t), oci.Endpoint{URL: strings.Replace(secure.URL, "https:", "http:", 1)}).Ping(t.Context())
	wantKind(t, err, tidewaiter.ErrTLS, "expects HTTPS", "https://127.0.0.1")
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = open(t, local(t), oci.Endpoint{URL: "http://" + l.Addr().String()}).Ping(t.Context())
	wantKind(t, err, tidewaiter.ErrUnreachable, "127.0.0.1", "refused the connection")
	err = open(t, local(t), oci.Endpoint{URL: "https://no-such-host.invalid"}).Ping(t.Context())
	wantKind(t, err, tidewaiter.ErrUnreachable, "no-such-host.invalid")
}

func TestCutAnswersAreTransient(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"tags":["a"`))
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	_, _, err := open(t, local(t), oci.Endpoint{URL: s.URL}).Tags(t.Context(), "app", "")
	wantKind(t, err, tidewaiter.ErrTransient, "cut the connection")
}

func TestRegistrysWordsAreQuotedCutAndCleaned(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   tidewaiter.ErrorKind
		words  string
	}{
		"code and message": {403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`, tidewaiter.ErrDenied, "requested access"},
		"manifest unknown": {404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`, tidewaiter.ErrGone, "manifest unknown"},
		"control bytes":    {403, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"a\\u001b[31mred\\nline\\u202e\\u0000\"}]}", tidewaiter.ErrDenied, "a [31mred line"},
		"odd detail":       {403, `{"errors":[{"code":"DENIED","message":"x","detail":[{"a":1}]}]}`, tidewaiter.ErrDenied, "x"},
		"message only":     {403, `{"message":"quota"}`, tidewaiter.ErrDenied, "quota"},
		"web page":         {403, `<html>`, tidewaiter.ErrDenied, "forbids it"},
		"endless":          {403, `{"errors":[{"code":"DENIED","message":"` + strings.Repeat("ab ", 9000) + `"}]}`, tidewaiter.ErrDenied, "b ab"},
		"teapot":           {418, ``, tidewaiter.ErrUnsupported, "418"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{hosts: map[string]http.Handler{"registry.example.com": text(c.status, c.body)}}
			_, _, err := n.registry(t, oci.Endpoint{URL: home}).Manifest(t.Context(), "app", "v1")
			wantKind(t, err, c.kind, c.words, "registry.example.com", "manifest app:v1")
			if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n\x1b\x00\u202e") {
				t.Errorf("%q", err)
			}
		})
	}
}

func TestNoRegistryThere(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{"registry.example.com": text(404, "not found")}}
	err := n.registry(t, oci.Endpoint{URL: home}).Ping(t.Context())
	wantKind(t, err, tidewaiter.ErrUnsupported, "no registry at https://registry.example.com/v2/")
}
