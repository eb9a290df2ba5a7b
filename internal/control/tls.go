package control

import (
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxCABytes bounds a registry's own certificate authorities: room for a whole system bundle.
const maxCABytes = 512 << 10

// validateCA reports what is wrong with PEM certificates as an ErrInvalid on field "tls.caCert".
func validateCA(text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	bad := func(why string) error {
		return tidewaiter.Invalid("tls.caCert", "the CA certificate %s", why).
			WithFix("give one or more certificates in PEM form, beginning with -----BEGIN CERTIFICATE-----")
	}
	if len(text) > maxCABytes {
		return bad("is larger than 512 KiB")
	}
	rest, found := []byte(text), false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return bad("holds something else: " + block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return bad("cannot be read")
		}
		found = true
	}
	if !found {
		return bad("is not in PEM form")
	}
	return nil
}
