package tidewaiter_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestParseRegistryURL(t *testing.T) {
	for in, want := range map[string]string{
		"": tidewaiter.DockerHubURL, "docker.io": tidewaiter.DockerHubURL, "https://index.docker.io/": tidewaiter.DockerHubURL,
		"Registry.Example.com": "https://registry.example.com", "http://localhost:5000/": "http://localhost:5000",
		"https://host:8443/artifactory/api/docker/key/": "https://host:8443/artifactory/api/docker/key", "[::1]:5000": "https://[::1]:5000",
	} {
		if got, err := tidewaiter.ParseRegistryURL(in); err != nil || got != want {
			t.Errorf("ParseRegistryURL(%q) = %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"ftp://host", "https://user:pw@host", "https://", "https://host?x=1", "https://host#f", "ht tp://x", "https://a b", "https://x\r\ny"} {
		if got, err := tidewaiter.ParseRegistryURL(bad); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("ParseRegistryURL(%q) = %q, %v", bad, got, err)
		}
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{
		tidewaiter.DockerHubURL: "docker.io", "https://Host:443/x": "host", "http://host:80": "host", "https://host:5000": "host:5000", "host:5000/": "host:5000",
	} {
		if got := tidewaiter.HostOf(in); got != want {
			t.Errorf("HostOf(%q) = %q, want %q", in, got, want)
		}
	}
}
