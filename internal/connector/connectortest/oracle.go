package connectortest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
)

// dockerToken lets a signed request have a token for the registry, and lets that token in, which the emulator does for
// passwords only. Oracle: "Pulling Images Using the Docker CLI", bearer tokens.
func (s *Emulated) dockerToken(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		user, token, basic := r.BasicAuth()
		bearer := basic && user == "BEARER_TOKEN" && token != ""
		if r.URL.Path != "/20180419/docker/token" || !bearer && !s.signed(r) {
			return next.RoundTrip(r)
		}
		r = r.Clone(r.Context())
		l := s.Emulator.Login()
		r.SetBasicAuth(l.Username, l.Password)
		query := r.URL.Query()
		query.Set("service", s.Emulator.Host())
		r.URL.RawQuery = query.Encode()
		return next.RoundTrip(r)
	})
}

// signed verifies a signature over date, request target and host.
func (s *Emulated) signed(r *http.Request) bool {
	block, _ := pem.Decode(s.Emulator.Login().PrivateKey)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(*rsa.PrivateKey)
	_, rest, found := strings.Cut(r.Header.Get("Authorization"), `signature="`)
	if err != nil || !ok || !found {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(rest, `"`))
	sum := sha256.Sum256([]byte("date: " + r.Header.Get("Date") + "\n(request-target): get " + r.URL.RequestURI() + "\nhost: " + r.URL.Host))
	return err == nil && rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], signature) == nil
}
