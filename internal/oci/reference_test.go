package oci_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestParseReference(t *testing.T) {
	type ref = oci.Reference
	for in, want := range map[string]ref{
		"alpine":                          {"docker.io", "library/alpine", "latest", ""},
		"alpine:3":                        {"docker.io", "library/alpine", "3", ""},
		"grafana/grafana":                 {"docker.io", "grafana/grafana", "latest", ""},
		"docker.io/alpine":                {"docker.io", "library/alpine", "latest", ""},
		"index.docker.io/library/a:1":     {"docker.io", "library/a", "1", ""},
		"ghcr.io/o/i@" + oneDigest:        {"ghcr.io", "o/i", "", oneDigest},
		"localhost/a":                     {"localhost", "a", "latest", ""},
		"localhost:5000/a/b:t":            {"localhost:5000", "a/b", "t", ""},
		"LOCALHOST.example:5000/a/b":      {"localhost.example:5000", "a/b", "latest", ""},
		"name:tag@" + oneDigest:           {"docker.io", "library/name", "tag", oneDigest},
		"[2001:DB8::1]:5000/a:b":          {"[2001:db8::1]:5000", "a", "b", ""},
		"[2001:db8::1]/a":                 {"[2001:db8::1]", "a", "latest", ""},
		"10.0.0.1:5000/a__b/c-d.e/f--g:V": {"10.0.0.1:5000", "a__b/c-d.e/f--g", "V", ""},
	} {
		got, err := oci.ParseReference(in)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", in, err, diff)
		}
	}
	for _, bad := range []string{
		"", ":", "@", "alpine:", "alpine@", "a:b:c", "UPPER", "a//b", "/a", "a/", "-a", "a-", "a..b", "a___b", "a b", "a\n", "a:t\n",
		"https://ghcr.io/a", "ghcr.io/", "ghcr.io/..", "host:99999/a", "host:0/a", "host:x/a", "host:/a", "[::1/a", "::1/a", "[fe80::1%eth0]/a",
		"-bad.io/a", "bad-.io/a", "a@sha256:abc", "a@md5:" + oneDigest[7:], "a@" + oneDigest + "@" + oneDigest, "user@host.io/a", "a:" + string(make([]byte, 129)),
	} {
		_, err := oci.ParseReference(bad)
		wantKind(t, err, tidewaiter.ErrInvalid)
	}
}

func TestReferenceSaysWhereToAsk(t *testing.T) {
	for in, want := range map[string][2]string{
		"alpine":                       {"https://registry-1.docker.io", "latest"},
		"ghcr.io/a/b:x@" + oneDigest:   {"https://ghcr.io", oneDigest},
		"registry.example.com:5/a/b:x": {"https://registry.example.com:5", "x"},
	} {
		r, err := oci.ParseReference(in)
		if err != nil || r.URL(false) != want[0] || r.Identifier() != want[1] {
			t.Errorf("%s: %s %s %v", in, r.URL(false), r.Identifier(), err)
		}
	}
	r, _ := oci.ParseReference("localhost:5000/a")
	if r.URL(true) != "http://localhost:5000" {
		t.Error(r.URL(true))
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"alpine", "a/b:c", "ghcr.io/o/i@" + oneDigest, "localhost:5000/a/b:t", "[::1]:5/a", "name:tag@" + oneDigest, "X.y:080/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := oci.ParseReference(s)
		if err != nil {
			if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
				t.Fatal(err)
			}
			return
		}
		again, err := oci.ParseReference(r.String())
		if err != nil || again != r {
			t.Fatalf("%q becomes %q becomes %+v: %v", s, r, again, err)
		}
		if tidewaiter.HostOf(r.URL(false)) != r.Host {
			t.Fatalf("%q: host %q of %q", s, r.Host, r.URL(false))
		}
	})
}
