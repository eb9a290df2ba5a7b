package oci_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestOutboundAddresses(t *testing.T) {
	for _, c := range []struct {
		host              string
		loopback, private bool // what has to be allowed; neither is always refused or always allowed
		allowed           bool
	}{
		{"203.0.113.9", false, true, true}, {"10.1.2.3", false, true, true}, {"172.31.0.1", false, true, true}, {"192.168.0.1", false, true, true},
		{"100.64.0.1", false, true, true}, {"fd12::1", false, true, true}, {"::ffff:10.0.0.1", false, true, true}, {"64:ff9b::10.0.0.1", false, true, true},
		{"127.0.0.1", true, false, true}, {"::1", true, false, true}, {"::ffff:127.0.0.1", true, false, true},
		{"8.8.8.8", false, false, true}, {"2606:4700::1111", false, false, true}, {"hooks.example.com", false, false, true},
		{"169.254.169.254", false, false, false}, {"fe80::1", false, false, false}, {"0.0.0.0", false, false, false}, {"fd00:ec2::254", false, false, false},
		{"100.100.100.200", false, false, false}, {"metadata.google.internal", false, false, false}, {"224.0.0.1", false, false, false},
		{"2002:a9fe:a9fe::", false, false, false},
	} {
		for _, loopback := range []bool{false, true} {
			for _, private := range []bool{false, true} {
				o := oci.NewOutbound(oci.OutboundOptions{AllowLoopback: loopback, AllowPrivate: private})
				want := c.allowed && (loopback || !c.loopback) && (private || !c.private)
				if err := o.CheckHost(c.host); (err == nil) != want || err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrDenied {
					t.Errorf("%s with loopback %t and private %t: %v", c.host, loopback, private, err)
				}
			}
		}
	}
}

// TestOutboundDials makes sure that it is the resolved address that counts, and that a proxy may be anywhere.
func TestOutboundDials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.String())) }))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	get := func(o *oci.Outbound, url string) (string, error) {
		rt, err := o.Transport(tidewaiter.TLS{})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: rt}).Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	none := func(*http.Request) (*url.URL, error) { return nil, nil }
	closed := oci.NewOutbound(oci.OutboundOptions{AllowPrivate: true, Proxy: none})
	if got, err := get(closed, "http://localhost:"+address.Port()+"/"); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a name of this machine: %q, %v", got, err)
	}
	open := oci.NewOutbound(oci.OutboundOptions{AllowLoopback: true, Proxy: none})
	if got, err := get(open, "http://localhost:"+address.Port()+"/x"); err != nil || got != "/x" {
		t.Errorf("allowed: %q, %v", got, err)
	}
	proxied := oci.NewOutbound(oci.OutboundOptions{Proxy: func(*http.Request) (*url.URL, error) { return address, nil }})
	if got, err := get(proxied, "http://hooks.invalid/y"); err != nil || got != "http://hooks.invalid/y" {
		t.Errorf("through a proxy: %q, %v", got, err)
	}
	if got, err := get(proxied, "http://169.254.169.254/"); err == nil {
		t.Errorf("metadata through a proxy: %q", got)
	}
	open.Close()
	if _, err := open.Transport(tidewaiter.TLS{CACert: "nonsense"}); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Error(err)
	}
}
