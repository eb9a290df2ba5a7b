package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// selfSignedLife is how long a certificate of our own making is good for. It is renewed at a start in its last month.
const selfSignedLife = 365 * 24 * time.Hour

// certificate loads the server's certificate, or makes one; nil serves plain HTTP.
func (c Config) certificate(now time.Time) (*tls.Certificate, error) {
	cert, key := c.TLSCert, c.TLSKey
	switch {
	case (cert == "") != (key == ""):
		return nil, tidewaiter.Invalid("tls-cert", "a certificate goes with its key").WithFix("give both --tls-cert and --tls-key")
	case cert == "" && !c.TLSSelfSigned:
		return nil, nil
	case cert == "":
		cert, key = filepath.Join(c.Data, "tls.crt"), filepath.Join(c.Data, "tls.key")
		if err := keepSelfSigned(cert, key, c.Listen, now); err != nil {
			return nil, fmt.Errorf("self-signed certificate: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "load the server's certificate: %w", err)
	}
	return &pair, nil
}

// keepSelfSigned leaves a certificate that is good for another month alone and makes one otherwise.
func keepSelfSigned(cert, key, listen string, now time.Time) error {
	if pair, err := tls.LoadX509KeyPair(cert, key); err == nil && pair.Leaf != nil && now.AddDate(0, 1, 0).Before(pair.Leaf.NotAfter) {
		return nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "tidewaiter"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if name, err := os.Hostname(); err == nil {
		template.DNSNames = append(template.DNSNames, name)
	}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}
