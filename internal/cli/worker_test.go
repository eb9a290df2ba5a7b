package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/cli"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// call runs the command line and returns its exit code and what it wrote.
func call(args ...string) (code int, out, said string) {
	var stdout, stderr bytes.Buffer
	code = cli.Main(args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestWorkerSaysWhatItNeeds(t *testing.T) {
	open := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(open, []byte("{}"), 0o644); err != nil { // that others may read it is what is refused
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--database", "tidewaiter.db", "--worker-key", "x"}, "SQLite serves a single process"},
		{[]string{"--database", "postgres://127.0.0.1:1/x"}, "tidewaiter worker-key"},
		{[]string{"--database", "postgres://127.0.0.1:1/x", "--worker-key-file", open}, "chmod 400"},
		{[]string{"--database", "postgres://127.0.0.1:1/x", "--worker-key-file", open + "?"}, "the key cannot be read"},
		{[]string{"--database", "postgres://127.0.0.1:1/x", "--worker-key", "x", "--label", "dmz"}, "zone=dmz"},
	} {
		if code, _, said := call(append([]string{"worker", "--data", t.TempDir()}, c.args...)...); code != 64 || !strings.Contains(said, c.says) {
			t.Errorf("%v: exit code %d, said %q", c.args, code, said)
		}
	}
}

func TestWorkerKeyIsPrinted(t *testing.T) {
	data := t.TempDir()
	if code, out, said := call("worker-key", "--data", data); code != 64 || out != "" || !strings.Contains(said, "no key file") {
		t.Errorf("without a key file: exit code %d, %q, %q", code, out, said)
	}
	if _, err := os.Stat(filepath.Join(data, "master.key")); err == nil {
		t.Fatal("it made a key file")
	}
	keyring, err := secret.Open(filepath.Join(data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keyring.Seal([]byte("password"), "id")
	if err != nil {
		t.Fatal(err)
	}
	code, out, said := call("worker-key", "--data", data)
	if code != 0 || said != "" || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit code %d, %q, %q", code, out, said)
	}
	worker, err := secret.ParseWorkerKey(out)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := worker.Open(sealed, "id"); err != nil || v.Reveal() != "password" {
		t.Errorf("the printed key does not open what the server sealed: %v", err)
	}
}
