package secret_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func open(t *testing.T, path string) *secret.Keyring {
	t.Helper()
	k, err := secret.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t *testing.T, k *secret.Keyring, associated string) []byte {
	t.Helper()
	ct, err := k.Seal([]byte(plain), associated)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

func mustOpen(t *testing.T, k *secret.Keyring, ct []byte, associated string) {
	t.Helper()
	v, err := k.Open(ct, associated)
	if err != nil || v.Reveal() != plain {
		t.Fatalf("got %q, %v", v.Reveal(), err)
	}
}

func mustFail(t *testing.T, k *secret.Keyring, ct []byte, associated string) {
	t.Helper()
	v, err := k.Open(ct, associated)
	if tidewaiter.KindOf(err) != tidewaiter.ErrMalformed || !v.IsZero() {
		t.Fatalf("got %q, %v", v.Reveal(), err)
	}
}

func TestSealedOnlyOpensWhereItBelongs(t *testing.T) {
	k := open(t, filepath.Join(t.TempDir(), "key"))
	ct := seal(t, k, "row-1")
	if bytes.Contains(ct, []byte(plain)) {
		t.Fatal("not encrypted")
	}
	mustOpen(t, k, ct, "row-1")
	mustFail(t, k, ct, "row-2")
	mustFail(t, k, ct, "")
	mustFail(t, open(t, filepath.Join(t.TempDir(), "other")), ct, "row-1")
	if bytes.Equal(ct, seal(t, k, "row-1")) {
		t.Error("sealing twice gives the same")
	}
}

func TestTampering(t *testing.T) {
	k := open(t, filepath.Join(t.TempDir(), "key"))
	ct := seal(t, k, "row")
	rapid.Check(t, func(r *rapid.T) {
		bad := bytes.Clone(ct)
		bad[rapid.IntRange(0, len(bad)-1).Draw(r, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(r, "bit"))
		if v, err := k.Open(bad, "row"); err == nil || !v.IsZero() {
			r.Fatal("a changed ciphertext opens")
		}
		if _, err := k.Open(ct[:rapid.IntRange(0, len(ct)-1).Draw(r, "length")], "row"); err == nil {
			r.Fatal("a cut ciphertext opens")
		}
	})
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, second := open(t, path), open(t, path)
	old := seal(t, k, "row")
	key := derive(t, k)
	if k.NeedsReseal(old) || !k.NeedsReseal(nil) || !k.NeedsReseal([]byte{1, 2}) {
		t.Error("NeedsReseal before the rotation")
	}
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, k, old, "row")
	fresh := seal(t, k, "row")
	if !k.NeedsReseal(old) || k.NeedsReseal(fresh) {
		t.Error("NeedsReseal after the rotation")
	}
	if bytes.Equal(key, derive(t, k)) {
		t.Error("derived keys outlive the rotation")
	}
	again := open(t, path)
	mustOpen(t, again, old, "row")
	mustOpen(t, again, fresh, "row")
	mustFail(t, again, fresh, "other")

	// One that has not seen the rotation yet rotates on top of it.
	if err := second.Rotate(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, second, old, "row")
	mustOpen(t, second, fresh, "row")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
}

func derive(t *testing.T, k *secret.Keyring) []byte {
	t.Helper()
	key, err := k.Derive("test", 32)
	if err != nil || len(key) != 32 {
		t.Fatalf("%x, %v", key, err)
	}
	return key
}

func TestDerive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k := open(t, path)
	other, err := k.Derive("other", 32)
	if err != nil || bytes.Equal(derive(t, k), other) {
		t.Error("the purpose does not matter")
	}
	if !bytes.Equal(derive(t, k), derive(t, open(t, path))) {
		t.Error("the key is not the same after a restart")
	}
	if _, err := k.Derive("x", 1<<20); err == nil {
		t.Error("a key of any size")
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "key")
	ct := seal(t, open(t, path), "row")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	mustOpen(t, open(t, path), ct, "row")

	t.Run("readable by others", func(t *testing.T) {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o610} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, err := secret.Open(path)
			if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid || !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("%04o: %v", mode, err)
			}
		}
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, open(t, path), ct, "row")
	})
	t.Run("damaged", func(t *testing.T) {
		content, _ := os.ReadFile(path)
		for name, bad := range map[string]string{"empty": "", "cut": string(content[:len(content)/2]), "other": `{"keyset":{},"root":""}`,
			"no keys": `{"keyset":{},"root":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`, "large": strings.Repeat(" ", 2<<20)} {
			p := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(p, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.Open(p); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
				t.Errorf("%s: %v", name, err)
			}
			if now, _ := os.ReadFile(p); string(now) != bad {
				t.Errorf("%s: the file was replaced", name)
			}
		}
	})
	t.Run("directory", func(t *testing.T) {
		if _, err := secret.Open(dir); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Error(err)
		}
	})
}

func TestManyMakeOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	rings := make([]*secret.Keyring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() { rings[i], _ = secret.Open(path) })
	}
	wg.Wait()
	for i, k := range rings {
		if k == nil {
			t.Fatalf("%d did not open", i)
		}
		mustOpen(t, rings[0], seal(t, k, "row"), "row")
	}
}

func TestParse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	ct := seal(t, open(t, path), "row")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(content), base64.StdEncoding.EncodeToString(content) + "\n"} {
		k, err := secret.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		mustOpen(t, k, ct, "row")
		if err := k.Rotate(); tidewaiter.KindOf(err) != tidewaiter.ErrUnsupported {
			t.Error(err)
		}
	}
	for _, s := range []string{"", "%%%", "e30=", "{}"} {
		_, err := secret.Parse(s)
		if tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
			t.Errorf("%q: %v", s, err)
		}
		if s == "%%%" && strings.Contains(fmt.Sprint(err), s) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
