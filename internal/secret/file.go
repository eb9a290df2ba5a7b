package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxKeyFile is the most that is read of a key file; one with a thousand keys is smaller.
const maxKeyFile = 1 << 20

// Open loads the key file, or makes one with fresh keys where there is none. A file that the group or others may read is
// refused with ErrInvalid, a damaged one with ErrMalformed; neither is ever replaced. Of two processes that start at the
// same time one makes the file and both use it.
func Open(path string) (*Keyring, error) {
	data, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKeyFile(path); err != nil {
			return nil, err
		}
		data, err = readKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	k := &Keyring{path: path}
	if err := k.load(data); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return k, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, tidewaiter.Invalid("key", "%s is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, tidewaiter.Invalid("key", "others than its owner have access to the key file %s (mode %04o)", path, perm).
			WithFix("chmod 600 %s", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if len(data) > maxKeyFile {
		return nil, badKeys("the key file %s is too large", path)
	}
	return data, nil
}

// createKeyFile writes fresh keys, unless another process was quicker.
func createKeyFile(path string) error {
	handle, root, err := generate()
	if err != nil {
		return err
	}
	data, err := encode(handle, root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the key file's directory: %w", err)
	}
	return writeFile(path, data, func(temporary string) error {
		if err := os.Link(temporary, path); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// writeFile writes a file beside path that only its owner can read, and lets place put it there in one step.
func writeFile(path string, data []byte, place func(temporary string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = place(f.Name())
	}
	if err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new name last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && runtime.GOOS != "windows" {
		return fmt.Errorf("write the key file: %w", err)
	}
	return nil
}

// Rotate adds a new primary key, and a new root for derived keys, to the key file. What is sealed already still opens;
// tokens signed with derived keys end. The file is written before the new keys are used. It starts from the file as it
// is, so that keys another process added stay. Keys that did not come from a file give ErrUnsupported.
func (k *Keyring) Rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.path == "" {
		return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "keys that did not come from a file cannot be rotated").
			WithFix("put them into a file and rotate there")
	}
	data, err := readKeyFile(k.path)
	if err != nil {
		return err
	}
	fresh := &Keyring{}
	if err := fresh.load(data); err != nil {
		return fmt.Errorf("open %s: %w", k.path, err)
	}
	handle, err := withNewPrimary(fresh.handle)
	if err != nil {
		return err
	}
	_, root, err := generate()
	if err != nil {
		return err
	}
	if data, err = encode(handle, root); err != nil {
		return err
	}
	if err := writeFile(k.path, data, func(temporary string) error { return os.Rename(temporary, k.path) }); err != nil {
		return err
	}
	return k.use(handle, root)
}

func withNewPrimary(handle *keyset.Handle) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("add a key: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("add a key: %w", err)
	}
	if handle, err = m.Handle(); err != nil {
		return nil, fmt.Errorf("add a key: %w", err)
	}
	return handle, nil
}
