package secret

import (
	"encoding/base64"
	"encoding/json"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// WorkerKey returns what a worker needs of the keys, as one line: enough to open stored credentials, not enough to derive
// the keys that tokens are signed with. Whoever has it can read the credentials in the database, and cannot log in.
func (k *Keyring) WorkerKey() (Value, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	data, err := encode(k.handle, nil)
	if err != nil {
		return Value{}, err
	}
	return New(base64.StdEncoding.EncodeToString(data)), nil
}

// ParseWorkerKey reads what WorkerKey returned, or a key file's content, of which it forgets what a worker has no use for.
func ParseWorkerKey(content string) (*Keyring, error) {
	data, err := decode(content)
	if err != nil {
		return nil, err
	}
	var f keyFile
	if json.Unmarshal(data, &f) != nil || len(f.Keyset) == 0 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the worker's key cannot be read").
			WithFix("have the server print it with `tidewaiter worker-key`")
	}
	f.Root = nil
	k := &Keyring{}
	return k, k.loadKeys(f)
}

// checkText is what a check seals.
const checkText = "tidewaiter"

// SealCheck returns a ciphertext by which others can tell whether they have the same keys.
func (k *Keyring) SealCheck(associated string) ([]byte, error) {
	return k.Seal([]byte(checkText), associated)
}

// OpensCheck reports whether these keys open what SealCheck made.
func (k *Keyring) OpensCheck(ciphertext []byte, associated string) bool {
	v, err := k.Open(ciphertext, associated)
	return err == nil && v.Reveal() == checkText
}
