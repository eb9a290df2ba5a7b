package samples

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/pem"
	"fmt"
)

// The credentials a sample image leaks are put together when it is built: they look like real ones to whatever scans
// images, and do not look like anything to whatever scans source code. Nothing anywhere accepts them.

func fakeBytes(what string) [sha256.Size]byte { return sha256.Sum256([]byte("sample of " + what)) }

// awsKeys returns an access key id and a secret access key in the form AWS gives them.
func awsKeys() (id, secret string) {
	a, b := fakeBytes("access key id"), fakeBytes("secret access key")
	return "AK" + "IA" + base32.StdEncoding.EncodeToString(a[:])[:16],
		base64.StdEncoding.EncodeToString(b[:])[:40]
}

// privateKey returns a PEM private key, the same each time.
func privateKey() (string, error) {
	seed := fakeBytes("private key")
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		return "", fmt.Errorf("encode private key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE " + "KEY", Bytes: der})), nil
}
