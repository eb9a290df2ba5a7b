package event

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Nexus signs with nothing else
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
)

// rightMAC reports whether a hexadecimal signature is the HMAC of a body. It takes the same time whatever is wrong.
func rightMAC(h func() hash.Hash, secret, body []byte, signature string) bool {
	sent, err := hex.DecodeString(strings.TrimSpace(signature))
	if err != nil || len(sent) == 0 {
		return false
	}
	mac := hmac.New(h, secret)
	mac.Write(body)
	return hmac.Equal(sent, mac.Sum(nil))
}

func rightSHA256(m *message, secret []byte, signature string) bool {
	return rightMAC(sha256.New, secret, m.body, signature)
}

func rightSHA1(m *message, secret []byte, signature string) bool {
	return rightMAC(sha1.New, secret, m.body, signature)
}
