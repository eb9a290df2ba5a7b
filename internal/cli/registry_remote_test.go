package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/cli"
)

// TestRegistryCommands declares, looks at, scans and removes a registry at a running server.
func TestRegistryCommands(t *testing.T) {
	e, err := emulator.New(emulator.Options{Kind: emulator.Harbor, Repositories: 3, Tags: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	runServer(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Chdir(t.TempDir())
	login := e.Login()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(login.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin := ""
	run := func(code int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := cli.Main(args, strings.NewReader(stdin), &out, &errs); got != code {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
		}
		if strings.Contains(out.String()+errs.String(), login.Password) || strings.Contains(errs.String(), serverPassword) {
			t.Errorf("%v shows a password: %s%s", args, out.String(), errs.String())
		}
		return out.String() + errs.String()
	}
	draft := []string{e.URL, "--kind=harbor", "--username=" + login.Username, "--secret-file=" + file, "--repository=acme/*", "--newest=2"}
	preview := run(0, append([]string{"registry", "preview"}, draft...)...)
	if !strings.Contains(preview, "6 selected of 12") {
		t.Errorf("preview of a draft by the server: %s", preview)
	}
	id := strings.TrimSpace(run(0, append(append([]string{"registry", "add"}, draft...), "--name=pier", "--no-scan")...))
	if text := run(64, append(append([]string{"registry", "add"}, draft...), "--name=other", "--newest=-1")...); !strings.Contains(text, "negative") {
		t.Error(text)
	}
	run(1, append(append([]string{"registry", "add"}, draft...), "--name=pier", "--no-scan")...) // the name is taken

	var list []client.Registry
	if err := json.Unmarshal([]byte(run(0, "registry", "list", "-o", "json")), &list); err != nil || len(list) != 1 || list[0].ID != id || list[0].Scope.Newest != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if text := run(0, "registry", "list"); !strings.Contains(text, id) || !strings.Contains(text, "never") {
		t.Errorf("list: %s", text)
	}
	if text := run(0, "registry", "show", "pier"); !strings.Contains(text, e.URL) {
		t.Errorf("show: %s", text)
	}
	if stored := run(0, "registry", "preview", "pier"); !strings.Contains(stored, "6 selected of 12") {
		t.Errorf("preview of a declared registry: %s", stored)
	}
	if other := run(0, "registry", "preview", "pier", "--newest=1"); !strings.Contains(other, "3 selected of 12") {
		t.Errorf("preview with another scope: %s", other)
	}
	if text := run(0, "registry", "scan", id); !strings.Contains(text, "queued") {
		t.Errorf("scan: %s", text)
	}
	run(0, "registry", "remove", "pier")
	stdin = login.Password + "\n"
	plain := []string{"registry", "add", e.URL, "--kind=harbor", "--username=" + login.Username, "--name=quay", "--no-scan"}
	run(64, append(plain, "--secret-stdin", "--secret-file="+file)...)
	run(64, append(plain, "--secret-stdin", "--password-stdin")...)
	run(0, append(plain, "--secret-stdin")...)
	if stored := run(0, "registry", "preview", "quay"); !strings.Contains(stored, "of 12") {
		t.Errorf("preview with the secret from standard input: %s", stored)
	}
	stdin = ""
	run(64, append(plain, "--name=empty", "--secret-stdin")...)
	run(1, "registry", "show", "pier")
	t.Setenv("TIDEWAITER_PASSWORD", "wrong")
	run(77, "registry", "list")
	t.Setenv("TIDEWAITER_PASSWORD", "")
	run(64, "registry", "list")
}
