package secret

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Keyring seals and opens secrets with the keys of one key file. New secrets are sealed with the primary key; those
// sealed with an older key still open. It is safe for concurrent use.
type Keyring struct {
	path string // of the key file; "" when the keys came from elsewhere

	mu      sync.RWMutex
	handle  *keyset.Handle
	aead    tink.AEAD
	primary uint32
	root    []byte // what Derive starts from
}

// keyFile is the form of a key file: a keyset as tink writes it, and the root of derived keys.
type keyFile struct {
	Keyset json.RawMessage `json:"keyset"`
	Root   []byte          `json:"root,omitempty"`
}

const rootSize = 32

// Parse reads keys from the content of a key file, as it is or in base64: the form an environment variable takes. Such a
// Keyring cannot Rotate, as nobody would keep the new key.
func Parse(content string) (*Keyring, error) {
	data, err := decode(content)
	if err != nil {
		return nil, err
	}
	k := &Keyring{}
	if err := k.load(data); err != nil {
		return nil, err
	}
	return k, nil
}

func decode(content string) ([]byte, error) {
	data := []byte(strings.TrimSpace(content))
	if len(data) == 0 || data[0] == '{' {
		return data, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return nil, badKeys("the key is neither a key file's content nor base64 of it")
	}
	return decoded, nil
}

// badKeys never mentions what was read.
func badKeys(format string, args ...any) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, format, args...).WithFix("restore the key file from a backup")
}

func (k *Keyring) load(data []byte) error {
	var f keyFile
	if json.Unmarshal(data, &f) != nil || len(f.Root) != rootSize {
		return badKeys("the key file cannot be read")
	}
	return k.loadKeys(f)
}

func (k *Keyring) loadKeys(f keyFile) error {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.Keyset)))
	if err != nil {
		return badKeys("the key file holds no usable keyset")
	}
	return k.use(handle, f.Root)
}

// use makes the keys those of the keyring. The caller holds the lock, or is the only one to know the keyring.
func (k *Keyring) use(handle *keyset.Handle, root []byte) error {
	primitive, err := aead.New(handle)
	if err != nil {
		return badKeys("the key file holds no keys to seal with")
	}
	primary, err := handle.Primary()
	if err != nil {
		return badKeys("the key file holds no primary key")
	}
	k.handle, k.aead, k.primary, k.root = handle, primitive, primary.KeyID(), root
	return nil
}

// generate makes fresh keys.
func generate() (*keyset.Handle, []byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	root := make([]byte, rootSize)
	_, _ = rand.Read(root) // never fails
	return handle, root, nil
}

// encode returns the content of a key file.
func encode(handle *keyset.Handle, root []byte) ([]byte, error) {
	var keys bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&keys)); err != nil {
		return nil, fmt.Errorf("write the keyset: %w", err)
	}
	return json.Marshal(keyFile{Keyset: keys.Bytes(), Root: root})
}

// Seal encrypts a secret for storage. Associated is the id of the row it belongs to: the ciphertext opens only together
// with the same id, so one that was moved to another row does not.
func (k *Keyring) Seal(plaintext []byte, associated string) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	sealed, err := k.aead.Encrypt(plaintext, []byte(associated))
	if err != nil {
		return nil, fmt.Errorf("seal a secret: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made. It fails with ErrMalformed when the ciphertext was changed, belongs to another row, or
// was sealed with a key that is not in the ring.
func (k *Keyring) Open(ciphertext []byte, associated string) (Value, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	plaintext, err := k.aead.Decrypt(ciphertext, []byte(associated))
	if err != nil {
		return Value{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "a stored secret cannot be opened").
			WithFix("restore the key file it was sealed with, or enter the secret again")
	}
	return New(string(plaintext)), nil
}

// prefixSize is how many bytes tink puts before a ciphertext: a version and the key's id.
const prefixSize = 5

// NeedsReseal reports whether a ciphertext was not sealed with the primary key, so that it should be opened and sealed
// again after a rotation.
func (k *Keyring) NeedsReseal(ciphertext []byte) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(ciphertext) < prefixSize || binary.BigEndian.Uint32(ciphertext[1:prefixSize]) != k.primary
}

// Derive returns a key of n bytes, at most 8160, for one purpose: HKDF-SHA256 over a secret of the key file. The same
// file and purpose give the same key until the next rotation.
func (k *Keyring) Derive(purpose string, n int) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.root) != rootSize {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "a worker's key does not give the key for %s", purpose)
	}
	key, err := hkdf.Key(sha256.New, k.root, nil, purpose, n)
	if err != nil {
		return nil, fmt.Errorf("derive a key for %s: %w", purpose, err)
	}
	return key, nil
}
