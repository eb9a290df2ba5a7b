package connector

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// oracleSigner signs requests as Oracle's APIs want it (Oracle: "Request Signatures", version 1 of their profile of the
// draft "Signing HTTP Messages"). It signs requests without a body only: reading needs no others.
type oracleSigner struct {
	keyID string
	key   *rsa.PrivateKey
	now   func() time.Time
}

var (
	ocid        = regexp.MustCompile(`^ocid1\.[a-z]+\.[A-Za-z0-9-]*\.[A-Za-z0-9.-]*$`)
	fingerprint = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){15}$`)
)

func (o *opening) oracleSigner() (*oracleSigner, error) {
	tenancy, user, print := o.setting("tenancyId"), o.username(), strings.ToLower(o.setting("fingerprint"))
	switch {
	case !ocid.MatchString(tenancy):
		return nil, tidewaiter.Invalid("credential.tenancyId", "the tenancy is no OCID").WithFix("it begins with ocid1.tenancy.")
	case !ocid.MatchString(user):
		return nil, tidewaiter.Invalid("credential.username", "the user is no OCID").WithFix("it begins with ocid1.user.")
	case !fingerprint.MatchString(print):
		return nil, tidewaiter.Invalid("credential.fingerprint", "the fingerprint is not sixteen pairs of hexadecimal digits with colons")
	}
	key, err := rsaKey(o.secret.Reveal())
	if err != nil {
		return nil, err
	}
	return &oracleSigner{keyID: tenancy + "/" + user + "/" + print, key: key, now: o.client.Now}, nil
}

func rsaKey(text string) (*rsa.PrivateKey, error) {
	bad := tidewaiter.Invalid("credential.secret", "the secret is no private key in PEM that can be read").WithFix("paste an RSA key without a passphrase")
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, bad
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, bad
	}
	if key, ok := parsed.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, bad
}

// sign adds date and signature.
func (s *oracleSigner) sign(_ context.Context, r *http.Request) error {
	date := s.now().UTC().Format(http.TimeFormat)
	r.Header.Set("Date", date)
	text := fmt.Sprintf("date: %s\n(request-target): %s %s\nhost: %s", date, strings.ToLower(r.Method), r.URL.RequestURI(), r.URL.Host)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return fmt.Errorf("sign a request: %w", err)
	}
	r.Header.Set("Authorization", fmt.Sprintf(`Signature version="1",keyId=%q,algorithm="rsa-sha256",headers="date (request-target) host",signature=%q`,
		s.keyID, base64.StdEncoding.EncodeToString(signature)))
	return nil
}
