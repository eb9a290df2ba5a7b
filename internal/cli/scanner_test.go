package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/cli"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// TestScannerCommands goes through a scanner's life on the command line, against a server that is its own scanner.
func TestScannerCommands(t *testing.T) {
	const key = "a key of sixteen bytes or more"
	a := runServer(t)
	suffix, err := a.Control().Suffix(t.Context(), control.SettingHarborSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Control().SetHarborKey(t.Context(), secret.New(key)); err != nil {
		t.Fatal(err)
	}
	run := func(want int, stdin string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := cli.Main(args, strings.NewReader(stdin), &out, &errs); code != want {
			t.Fatalf("%v ended with %d, want %d: %s%s", args, code, want, &out, &errs)
		}
		if all := out.String() + errs.String(); strings.Contains(all, suffix) || strings.Contains(all, key) {
			t.Fatalf("%v shows a secret: %s", args, all)
		}
		return out.String()
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := a.URL() + "/api/v1/harbor/" + suffix

	run(64, "", "scanner", "add", "self", address)
	run(64, "", "scanner", "add", "self", "ftp://example.com")
	run(64, address+"\n", "scanner", "add", "self", "-", "--all", "--lend", "token", "--login", "bearer")
	run(0, address+"\n", "scanner", "add", "self", "-", "--all", "--lend", "token", "--login", "bearer", "--secret-file", file, "--max-age", "12h")
	run(1, "", "scanner", "add", "self", address, "--all", "--login", "apikey", "--secret-file", file) // the name is taken
	if out := run(0, "", "scanner", "list"); !strings.Contains(out, "self") || !strings.Contains(out, "Tidewaiter") || !strings.Contains(out, a.URL()) {
		t.Errorf("list: %s", out)
	}
	show := func() (x client.Scanner) {
		t.Helper()
		if err := json.Unmarshal([]byte(run(0, "", "scanner", "show", "self", "--output", "json")), &x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := show()
	if x.Login != "bearer" || x.Lend != "token" || !x.AllRegistries || x.MaxAge != "12h0m0s" || x.Parallel != 4 || x.About.WantsLogin != "Basic" || x.Disabled {
		t.Errorf("%+v", x)
	}
	run(0, "", "scanner", "validate", x.ID)
	run(0, "", "scanner", "edit", "self", "--off", "--parallel", "2", "--no-all")
	if x = show(); !x.Disabled || x.Parallel != 2 || x.AllRegistries || x.MaxAge != "12h0m0s" || x.Login != "bearer" {
		t.Errorf("%+v", x)
	}
	run(64, "", "scanner", "edit", "self", "--registries", "nothing")
	run(64, "", "scanner", "edit", "self", "--url", "http://127.0.0.1:1") // the secret was given for another host
	run(64, "", "scanner", "edit", "self", "--login", "basic")
	run(1, "", "scanner", "ask", "self") // it is off
	run(0, "", "scanner", "edit", "self", "--on", "--all", "--login", "basic", "--username", "me", "--secret-file", file)
	if out := run(0, "", "scanner", "ask", "self"); !strings.Contains(out, "0 images") {
		t.Errorf("ask: %s", out)
	}
	run(1, "", "scanner", "ask", "self", "--image", "sha256:none")
	run(1, "", "image", "opinions", "sha256:none")
	run(0, "", "scanner", "remove", "self")
	run(1, "", "scanner", "show", "self")
}
