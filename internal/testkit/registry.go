package testkit

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TLSMode says which certificate a registry shows.
type TLSMode string

// The modes.
const (
	NoTLS        TLSMode = ""
	TLSTrusted   TLSMode = "trusted"    // Server.CA is its authority
	TLSUnknownCA TLSMode = "unknown-ca" // as trusted, but Server.CA stays empty
	TLSExpired   TLSMode = "expired"    // since an hour
	TLSOtherHost TLSMode = "other-host" // made out to registry.invalid
)

// Options says what kind of registry a test wants. The zero value is open to everybody, over plain HTTP.
type Options struct {
	TLS     TLSMode
	Program string // a distribution registry other than the usual one; see OldRegistry
	// Username and Password protect the registry: by HTTP basic authentication, or by bearer tokens with TokenAuth.
	Username, Password string
	TokenAuth          bool
	Delete             bool                // allow manifests and blobs to be deleted
	CatalogMax         int                 // longest page of the catalog; asking for more is answered with 400; 0 is the default, 1000
	Notify             string              // an address events are sent to
	NotifyHeader       map[string][]string // headers sent along with events
}

// Server is a running registry.
type Server struct {
	URL, Host          string // Host is URL without its scheme
	Username, Password string
	CA                 []byte       // PEM; empty where clients are not meant to know it
	Token              *TokenServer // with TokenAuth
}

// Client is an HTTP client that trusts what the test is meant to trust.
func (s *Server) Client() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: 30 * time.Second}
}

// startTimeout bounds how long a registry or database may take to become ready.
const startTimeout = 60 * time.Second

// Registry starts a CNCF distribution registry on a free loopback port, with its content in memory, and ends it with the
// test. The program is the one TIDEWAITER_TEST_REGISTRY names, or bin/registry below the module's root, which is built
// when it is missing.
func Registry(t testing.TB, o Options) *Server {
	t.Helper()
	binary := o.Program
	if binary == "" {
		var err error
		if binary, err = registryBinary(t.Context()); err != nil {
			t.Fatalf("testkit: %v", err)
		}
	}
	s := &Server{Username: o.Username, Password: o.Password}
	dir := t.TempDir()
	config, err := s.configure(t, dir, o)
	if err != nil {
		t.Fatalf("testkit: configure registry: %v", err)
	}
	log := &listenLog{addr: make(chan string, 1)}
	p, err := start(program{
		args: []string{binary, "serve", config}, dir: dir, signal: "KILL", out: log,
		// Variables of these names would override the configuration, or send traces somewhere.
		env: environ([]string{"REGISTRY_", "OTEL_"}, "OTEL_TRACES_EXPORTER=none"),
	})
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(p.stop)
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case s.Host = <-log.addr:
	case <-p.ended:
		t.Fatalf("testkit: the registry ended at once:\n%s", log)
	case <-timer.C:
		t.Fatalf("testkit: the registry is not ready after %v:\n%s", startTimeout, log)
	}
	s.URL = "http://" + s.Host
	if o.TLS != NoTLS {
		s.URL = "https://" + s.Host
	}
	return s
}

// configure writes the registry's configuration and what it refers to into dir.
func (s *Server) configure(t testing.TB, dir string, o Options) (path string, err error) {
	listen := map[string]any{"addr": "127.0.0.1:0", "secret": "testkit"}
	config := map[string]any{
		"version": "0.1",
		"log":     map[string]any{"level": "info", "formatter": "text"},
		"storage": map[string]any{
			"inmemory": map[string]any{}, "delete": map[string]any{"enabled": o.Delete},
			"maintenance": map[string]any{"uploadpurging": map[string]any{"enabled": false}},
		},
		"http": listen,
	}
	if o.CatalogMax > 0 {
		config["catalog"] = map[string]any{"maxentries": o.CatalogMax}
	}
	if o.Notify != "" {
		config["notifications"] = map[string]any{"endpoints": []map[string]any{{
			"name": "test", "url": o.Notify, "headers": o.NotifyHeader,
			"timeout": "2s", "threshold": 3, "backoff": "100ms",
		}}}
	}
	var pair *tls.Certificate
	if o.TLS != NoTLS {
		if pair, listen["tls"], err = s.certificate(dir, o.TLS); err != nil {
			return "", err
		}
	}
	switch {
	case o.TokenAuth:
		s.Token = newTokenServer(t, o.Username, o.Password, pair)
		keys := filepath.Join(dir, "keys.json")
		if err := s.Token.writeKeySet(keys); err != nil {
			return "", err
		}
		config["auth"] = map[string]any{"token": map[string]any{
			"realm": s.Token.URL, "service": tokenService, "issuer": tokenIssuer, "jwks": keys,
		}}
	case o.Username != "":
		hash, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
		if err != nil {
			return "", fmt.Errorf("hash password: %w", err)
		}
		file := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(file, fmt.Appendf(nil, "%s:%s\n", o.Username, hash), 0o600); err != nil {
			return "", err
		}
		config["auth"] = map[string]any{"htpasswd": map[string]any{"realm": "testkit", "path": file}}
	}
	doc, err := json.Marshal(config) // JSON is YAML, which is what the registry reads
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	path = filepath.Join(dir, "config.yml")
	return path, os.WriteFile(path, doc, 0o600)
}

// certificate writes certificate and key for mode. It returns them, and the part of the configuration that names them.
func (s *Server) certificate(dir string, mode TLSMode) (*tls.Certificate, map[string]any, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, nil, err
	}
	host, end := "", time.Now().Add(24*time.Hour)
	switch mode {
	case TLSExpired:
		end = time.Now().Add(-time.Hour)
	case TLSOtherHost:
		host = "registry.invalid"
	}
	if mode != TLSUnknownCA {
		s.CA = ca.pem
	}
	cert, key, err := ca.issue(host, end)
	if err != nil {
		return nil, nil, err
	}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(certFile, cert, 0o600); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &pair, map[string]any{"certificate": certFile, "key": keyFile}, err
}

// listenLog takes the registry's output, tells the address it listens on, and keeps the beginning for error messages.
type listenLog struct {
	addr chan string

	mu    sync.Mutex
	text  []byte
	found bool
}

// logLimit is how much of a program's output is kept, in bytes.
const logLimit = 64 << 10

// Write never fails: a program whose output breaks would end.
func (l *listenLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p[:min(len(p), logLimit-len(l.text))]...)
	if l.found {
		return len(p), nil
	}
	_, rest, ok := bytes.Cut(l.text, []byte("listening on "))
	if end := bytes.IndexAny(rest, ",\" \n"); ok && end > 0 {
		l.found = true
		l.addr <- string(rest[:end])
	}
	return len(p), nil
}

// String returns what was kept.
func (l *listenLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
