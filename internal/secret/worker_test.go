package secret_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestWorkerKeyOpensAndDerivesNothing(t *testing.T) {
	full, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := full.Seal([]byte("password"), "credential")
	if err != nil {
		t.Fatal(err)
	}
	key, err := full.WorkerKey()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := secret.ParseWorkerKey(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := worker.Open(sealed, "credential"); err != nil || v.Reveal() != "password" {
		t.Errorf("the worker cannot open what the server sealed: %v", err)
	}
	if _, err := worker.Derive("tokens", 32); tidewaiter.KindOf(err) != tidewaiter.ErrUnsupported {
		t.Errorf("the worker derives keys: %v", err)
	}
	if _, err := secret.Parse(key.Reveal()); err == nil {
		t.Error("a server takes a worker's key for its own")
	}
	check, err := full.SealCheck("check")
	if err != nil || !worker.OpensCheck(check, "check") {
		t.Errorf("the check does not hold: %v", err)
	}
	other, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil || other.OpensCheck(check, "check") {
		t.Errorf("other keys pass the check: %v", err)
	}
	for _, bad := range []string{"", "!", "{}", "e30="} {
		if _, err := secret.ParseWorkerKey(bad); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWorkerForgetsTheRootOfAWholeKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := secret.Open(path); err != nil {
		t.Fatal(err)
	}
	worker, err := secret.ParseWorkerKey(keyContent(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Derive("tokens", 32); err == nil {
		t.Error("it kept the root")
	}
}

func keyContent(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
