package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/cli"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestEveryKindWithoutAServer validates, previews and examines a registry of each kind from the command line.
func TestEveryKindWithoutAServer(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Chdir(t.TempDir())
	for _, can := range connector.Kinds() {
		t.Run(string(can.Kind), func(t *testing.T) {
			s := connectortest.Emulate(t, can.Kind, emulator.Options{Repositories: 3, Tags: 4, Indexes: -1, Artifacts: -1})
			flags := flagsFor(t, s)
			run := func(code int, args ...string) string {
				t.Helper()
				var out, errs bytes.Buffer
				if got := cli.Main(args, strings.NewReader(""), &out, &errs); got != code {
					t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
				}
				return out.String()
			}
			if out := run(0, append([]string{"registry", "validate", "--kind=" + string(can.Kind)}, flags...)...); !strings.Contains(out, "pull") {
				t.Errorf("validate: %s", out)
			}
			var preview struct {
				Repositories []struct{ TagsSelected int }
				Summary      struct{ RepositoriesSelected, TagsSelected int }
			}
			out := run(0, append([]string{"registry", "preview", "-o", "json", "--kind=" + string(can.Kind), "--newest=2"}, flags...)...)
			if err := json.Unmarshal([]byte(out), &preview); err != nil || len(preview.Repositories) != 3 || preview.Summary.TagsSelected != 6 {
				t.Errorf("preview: %v, %+v", err, preview)
			}
			if out := run(0, append([]string{"doctor"}, flags...)...); !strings.Contains(out, "kind               "+string(can.Kind)+" (") {
				t.Errorf("doctor: %s", out)
			}
		})
	}
}

// flagsFor writes down how a registry is reached and logged in to.
func flagsFor(t *testing.T, s *connectortest.Emulated) []string {
	t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flags := []string{s.Registry.URL, "--ca-cert=" + write("ca.pem", s.Registry.TLS.CACert), "--secret-file=" + write("secret", s.Secret.Reveal())}
	if s.Credential.Kind != tidewaiter.CredentialBasic {
		flags = append(flags, "--credential-kind="+string(s.Credential.Kind))
	}
	if s.Credential.Username != "" {
		flags = append(flags, "--username="+s.Credential.Username)
	}
	for key, value := range s.Registry.Settings {
		flags = append(flags, "--setting="+key+"="+value)
	}
	for key, value := range s.Credential.Settings {
		flags = append(flags, "--credential-setting="+key+"="+value)
	}
	for name, address := range s.Options.Endpoints {
		if connector.CheckEndpoints(map[string]string{name: address}) == nil {
			flags = append(flags, "--endpoint="+name+"="+address)
		}
	}
	return flags
}
