package oci_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestWhichRealmsGetTheCredential(t *testing.T) {
	for _, c := range []struct {
		registry, realm string
		trust           []string
		ok              bool
	}{
		{"https://registry.example.com", "https://registry.example.com/token", nil, true},
		{"https://registry.example.com:5000", "https://registry.example.com:5001/token", nil, true},
		{"https://registry.example.com", "https://auth.example.com/token", nil, true},
		{"https://10.1.2.3:5000", "https://10.1.2.3:5001/token", nil, true},
		{"http://10.1.2.3:5000", "http://10.1.2.3:5001/token", nil, true},
		{"https://registry.corp.local", "https://auth.corp.local/token", nil, true},
		{"https://registry-1.docker.io", "https://auth.docker.io/token", nil, true},
		{"https://registry.gitlab.com", "https://gitlab.com/jwt/auth", nil, true},
		{"https://registry.example.com", "https://auth.example.net/token", []string{"auth.example.net"}, true},
		{"https://registry.example.com", "https://auth.example.net:8443/token", []string{"auth.example.net:8443"}, true},
		{"https://registry.example.com", "http://registry.example.com/token", []string{"http://registry.example.com"}, true},
		{"https://10.1.2.3:5000", "https://10.1.2.4/token", []string{"10.1.2.4"}, true},

		{"https://registry.example.com", "https://evil.example.net/token", nil, false},
		{"https://registry.example.com", "http://registry.example.com/token", nil, false},
		{"https://registry.example.com", "http://auth.example.com/token", nil, false},
		{"http://registry.example.com", "http://auth.example.com/token", nil, false},
		{"https://10.1.2.3:5000", "https://10.1.2.4/token", nil, false},
		{"https://a.github.io", "https://b.github.io/token", nil, false},
		{"https://a.co.uk", "https://b.co.uk/token", nil, false},
		{"https://registry", "https://auth/token", nil, false},
		{"https://registry.example.com", "https://registry.example.com.evil.net/token", nil, false},
		{"https://registry.example.com", "https://registry.example.com@evil.net/token", nil, false},
		{"https://registry.example.com", "https://auth.docker.io/token", nil, false},
		{"https://registry.example.com", "https://auth.example.net:9/token", []string{"auth.example.net:8443"}, false},
		{"https://registry.example.com", "http://auth.example.net/token", []string{"auth.example.net"}, false},
		{"https://registry.example.com", "file:///etc/passwd", nil, false},
		{"https://registry.example.com", "https://169.254.169.254/token", nil, false},
		{"https://registry.example.com", "https://169.254.169.254/token", []string{"169.254.169.254"}, false},
	} {
		t.Run(c.registry+" "+c.realm, func(t *testing.T) {
			n := &network{hosts: map[string]http.Handler{}}
			serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/v2/") && r.Header.Get("Authorization") == "Bearer good":
					page(w, "", "a")
				case strings.HasPrefix(r.URL.Path, "/v2/"):
					w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q,service=s", c.realm))
					w.WriteHeader(http.StatusUnauthorized)
				default:
					_, _ = io.WriteString(w, `{"token":"good"}`)
				}
			})
			base := strings.SplitN(c.registry, "/", 3)[2]
			realmHost := strings.SplitN(strings.SplitN(c.realm, "/", 4)[2], "@", 2)
			n.hosts[base], n.hosts[realmHost[len(realmHost)-1]] = serve, serve
			r := n.registry(t, oci.Endpoint{URL: c.registry, Auth: oci.Basic("u", password), TrustRealms: c.trust})
			_, _, err := r.Tags(t.Context(), "app", "")
			if c.ok != (err == nil) {
				t.Fatalf("error %v, want ok %v", err, c.ok)
			}
			asked := 0
			for _, req := range n.requests("") {
				if strings.Contains(req, "/token") || strings.Contains(req, "/jwt/") {
					asked++
				}
			}
			if c.ok != (asked > 0) {
				t.Errorf("%d token requests", asked)
			}
			if e, is := errors.AsType[*tidewaiter.Error](err); !c.ok && (!is || e.Fix == "" && e.Kind == tidewaiter.ErrAuth) {
				t.Errorf("no remedy in %v", err)
			}
		})
	}
}

func TestAnonymousTokenFromAnyRealm(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{
		"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer anyone" {
				page(w, "", "a")
				return
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://tokens.example.net/t",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		}),
		"tokens.example.net": text(200, `{"access_token":"anyone"}`),
	}}
	if _, _, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", ""); err != nil {
		t.Fatal(err)
	}
	if got := n.credentials("tokens.example.net"); got != nil {
		t.Error(got)
	}
}

// A registry that turns hostile must not get the credential to another origin by any of its answers.
func TestAttackerGetsNoCredential(t *testing.T) {
	blob := []byte("layer")
	for name, trap := range map[string]http.HandlerFunc{
		"link": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("last") == "a" {
				page(w, "", "b")
				return
			}
			page(w, `<https://evil.example.net/v2/app/tags/list?last=a>; rel="next"`, "a")
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.net/x", http.StatusTemporaryRedirect)
		},
		"redirect to other port": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://registry.example.com:444/x", http.StatusTemporaryRedirect)
		},
		"redirect to plain http": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://registry.example.com:80/x", http.StatusTemporaryRedirect)
		},
		"redirect and back again": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.net/back", http.StatusTemporaryRedirect)
		},
		"realm": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://evil.example.net/t",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"realm that redirects": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example.com/token",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var leaked []string
			evil := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				for _, s := range append(r.Header["Authorization"], string(body), r.Header.Get("Referer"), r.URL.RawQuery) {
					if s != "" && !strings.HasPrefix(s, "service=") {
						leaked = append(leaked, s)
					}
				}
				if r.URL.Path == "/back" {
					http.Redirect(w, r, "https://registry.example.com/again", http.StatusTemporaryRedirect)
					return
				}
				w.Header().Set("WWW-Authenticate", `Basic realm="please"`)
				w.WriteHeader(http.StatusUnauthorized)
			})
			again := false
			n := &network{hosts: map[string]http.Handler{
				"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == "/v2/" && name != "realm that redirects" && r.Header.Get("Authorization") == "":
						w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
						w.WriteHeader(http.StatusUnauthorized)
					case r.URL.Path == "/token":
						http.Redirect(w, r, "https://evil.example.net/t", http.StatusTemporaryRedirect)
					case r.URL.Path == "/again":
						again = true
						if a := r.Header.Get("Authorization"); a != "" {
							t.Errorf("the credential came back after a detour: %s", a)
						}
					default:
						trap(w, r)
					}
				}),
				"evil.example.net": evil, "registry.example.com:444": evil, "registry.example.com:80": evil,
			}}
			for _, auth := range []oci.Auth{oci.Basic("u", password), oci.IdentityToken(password), oci.Bearer(password)} {
				r := n.registry(t, oci.Endpoint{URL: home, Auth: auth})
				_, _, _ = allTags(t, r)
				_, _, _ = r.Manifest(t.Context(), "app", "latest")
				if b, err := r.Blob(t.Context(), "app", describe(blob)); err == nil {
					_, _ = io.Copy(io.Discard, b)
					b.Close()
				}
			}
			if leaked != nil {
				t.Errorf("leaked %q", leaked)
			}
			if (name == "redirect and back again") != again {
				t.Errorf("came back: %v", again)
			}
		})
	}
}

func TestForbiddenAddresses(t *testing.T) {
	for _, host := range []string{
		"169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]",
		"0.0.0.0", "0.1.2.3", "[::]", "[::ffff:100.100.100.200]", "[::ffff:0.0.0.0]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "100.100.100.200", "168.63.129.16",
		"metadata.google.internal", "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]",
	} {
		_, err := oci.New(oci.Options{}).Registry(oci.Endpoint{URL: "https://" + host})
		wantKind(t, err, tidewaiter.ErrDenied, "is not allowed")
	}
	for _, host := range []string{"10.0.0.1", "172.16.0.1:5000", "192.168.1.1", "[fc00::1]", "100.64.0.1", "registry.example.com", "1.1.1.1"} {
		if _, err := oci.New(oci.Options{}).Registry(oci.Endpoint{URL: "https://" + host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := oci.New(oci.Options{AllowLoopback: true}).Registry(oci.Endpoint{URL: "http://127.0.0.1:5000"}); err != nil {
		t.Error(err)
	}
}

func TestLoopbackIsRefusedAfterResolving(t *testing.T) {
	s := httptest.NewServer(text(200, "{}"))
	defer s.Close()
	url := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	err := open(t, oci.New(oci.Options{}), oci.Endpoint{URL: url}).Ping(t.Context())
	wantKind(t, err, tidewaiter.ErrDenied, "loopback", "--allow-loopback-registries")
	if err := open(t, local(t), oci.Endpoint{URL: url}).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRedirectToMetadataIsRefused(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{
		"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
		}),
		"169.254.169.254": text(200, "secrets"),
	}}
	_, err := n.registry(t, oci.Endpoint{URL: home}).Blob(t.Context(), "app", describe([]byte("x")))
	wantKind(t, err, tidewaiter.ErrDenied, "link-local")
	if got := n.requests("169.254.169.254"); got != nil {
		t.Error(got)
	}
}

// The host a redirect leads to cannot tell us where to log in.
func TestRedirectTargetCannotNameARealm(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{
		"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			http.Redirect(w, r, "https://storage.example.net/x", http.StatusTemporaryRedirect)
		}),
		"storage.example.net": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example.com:9999/token",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		}),
		"registry.example.com:9999": text(200, `{"token":"x"}`),
	}}
	_, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", password)}).Blob(t.Context(), "app", describe([]byte("x")))
	wantKind(t, err, tidewaiter.ErrAuth, "storage.example.net")
	if got := n.requests("registry.example.com:9999"); got != nil {
		t.Errorf("asked %v", got)
	}
}
