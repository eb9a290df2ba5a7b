package oci_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestDockerConfig(t *testing.T) {
	dir := t.TempDir()
	b64 := base64.StdEncoding.EncodeToString([]byte("u:p:w"))
	write := func(name, body string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	runs := filepath.Join(dir, "runs")
	write("docker-credential-test", `#!/bin/sh
read host
echo "$host" >> `+runs+`
case "$host" in
broken.example.com) echo "the vault is sealed"; exit 1;;
esac
echo '{"ServerURL":"x","Username":"helper","Secret":"s3cret"}'
`, 0o700)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	path := write("config.json", `{"auths":{
		"registry.example.com":{"auth":"`+b64+`"},
		"https://index.docker.io/v1/":{"auth":"`+b64+`"},
		"token.example.com":{"auth":"`+b64+`","identitytoken":"id"}},
		"credHelpers":{"helped.example.com":"test","broken.example.com":"test"}}`, 0o600)
	auth, err := oci.DockerConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	basic := oci.Credential{Username: "u", Password: "p:w"}
	for host, want := range map[string]oci.Credential{
		"registry.example.com": basic, "docker.io": basic, "token.example.com": {IdentityToken: "id"}, "other.example.com": {},
		"helped.example.com": {Username: "helper", Password: "s3cret"},
	} {
		for range 2 {
			if got, err := auth(t.Context(), host); err != nil || got != want {
				t.Errorf("%s: wrong credential, error %v", host, err)
			}
		}
	}
	if asked, _ := os.ReadFile(runs); string(asked) != "helped.example.com\n" {
		t.Errorf("the helper was asked for %q", asked)
	}
	_, err = auth(t.Context(), "broken.example.com")
	wantKind(t, err, tidewaiter.ErrAuth, "broken.example.com", "docker login")

	_, err = oci.DockerConfig(write("bad.json", `{`, 0o600))
	wantKind(t, err, tidewaiter.ErrInvalid)
	auth, err = oci.DockerConfig(filepath.Join(dir, "absent.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := auth(t.Context(), "registry.example.com"); err != nil || got != (oci.Credential{}) {
		t.Errorf("a file that is not there: %v", err)
	}
}
