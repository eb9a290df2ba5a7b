package oci

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// netError gives an error of the network its meaning. Errors that have one keep it. The text names the host and never
// the URL: its query may hold a signature.
func netError(err error, host string) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e
	}
	wrap := func(kind tidewaiter.ErrorKind, format string, args ...any) *tidewaiter.Error {
		return &tidewaiter.Error{Kind: kind, Msg: fmt.Sprintf(format, args...), Err: err}
	}
	if e := tlsError(err, host, wrap); e != nil {
		return e
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return wrap(tidewaiter.ErrUnreachable, "there is no host named %s", plainText(dns.Name)).WithFix("check the address and this machine's name servers")
		}
		return wrap(tidewaiter.ErrUnreachable, "the name %s could not be resolved: %s", plainText(dns.Name), plainText(dns.Err))
	}
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return wrap(tidewaiter.ErrCanceled, "the request to %s was cancelled", host)
	case errors.Is(err, errStalled):
		return wrap(tidewaiter.ErrTransient, "%s went silent: %s", host, errStalled)
	case errors.Is(err, syscall.ECONNREFUSED):
		return wrap(tidewaiter.ErrUnreachable, "%s refused the connection", target(op, host)).WithFix("is the registry running, and is this its port?")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return wrap(tidewaiter.ErrUnreachable, "there is no route to %s", target(op, host))
	case isOp && op.Op == "dial" && op.Timeout():
		return wrap(tidewaiter.ErrUnreachable, "%s did not accept a connection within %s", target(op, host), dialTimeout).
			WithFix("a firewall may be in the way")
	case isOp && op.Op == "dial":
		return wrap(tidewaiter.ErrUnreachable, "connecting to %s: %s", target(op, host), plainText(op.Err.Error()))
	case isOp && op.Op == "proxyconnect":
		return wrap(tidewaiter.ErrUnreachable, "the HTTP proxy could not be used: %s", plainText(op.Err.Error()))
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return wrap(tidewaiter.ErrTransient, "%s did not answer in time", host)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return wrap(tidewaiter.ErrTransient, "%s cut the connection", host)
	}
	return wrap(tidewaiter.ErrTransient, "talking to %s: %s", host, plainText(err.Error()))
}

func target(op *net.OpError, host string) string {
	if op != nil && op.Addr != nil && !strings.HasPrefix(op.Addr.String(), host) {
		return host + " (" + op.Addr.String() + ")"
	}
	return host
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// tlsError explains why a certificate or a handshake failed; nil when err is about something else.
func tlsError(err error, host string, wrap func(tidewaiter.ErrorKind, string, ...any) *tidewaiter.Error) *tidewaiter.Error {
	const trust = "give the registry's CA certificate (caCert), or skip verification for tests"
	if errors.Is(err, http.ErrSchemeMismatch) {
		return wrap(tidewaiter.ErrTLS, "%s speaks plain HTTP, not HTTPS", host).WithFix("write the address as http://%s, or enable TLS on the registry", host)
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return wrap(tidewaiter.ErrTLS, "the certificate of %s is for another name: %s", host, certNames(e.Certificate)).
			WithFix("use a name the certificate holds")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return wrap(tidewaiter.ErrTLS, "the certificate of %s is signed by an unknown authority%s", host, issuerOf(err)).WithFix(trust)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired && e.Cert != nil {
			return expiredError(e, host, wrap)
		}
		return wrap(tidewaiter.ErrTLS, "the certificate of %s is not valid: %s", host, plainText(e.Error())).WithFix(trust)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return wrap(tidewaiter.ErrTLS, "%s does not speak TLS on this port", host).WithFix("check the port, or write the address as http://%s", host)
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return wrap(tidewaiter.ErrTLS, "%s ended the TLS handshake: %s", host, alert.Error())
	}
	if strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`) {
		return plainToTLS(host)
	}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return wrap(tidewaiter.ErrTLS, "the certificate of %s cannot be trusted: %s", host, plainText(v.Err.Error())).WithFix(trust)
	}
	return nil
}

func expiredError(e x509.CertificateInvalidError, host string, wrap func(tidewaiter.ErrorKind, string, ...any) *tidewaiter.Error) *tidewaiter.Error {
	const day = "2006-01-02 15:04 MST"
	if strings.Contains(e.Detail, "is before") {
		return wrap(tidewaiter.ErrTLS, "the certificate of %s is not valid before %s", host, e.Cert.NotBefore.UTC().Format(day)).
			WithFix("check this machine's clock")
	}
	return wrap(tidewaiter.ErrTLS, "the certificate of %s expired on %s", host, e.Cert.NotAfter.UTC().Format(day)).
		WithFix("renew the registry's certificate, or skip verification until then")
}

func plainToTLS(host string) *tidewaiter.Error {
	return tidewaiter.Errorf(tidewaiter.ErrTLS, "%s expects HTTPS, not plain HTTP", host).WithFix("write the address as https://%s", host)
}

func issuerOf(err error) string {
	v, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || len(v.UnverifiedCertificates) == 0 {
		return ""
	}
	return " (" + clip(plainText(v.UnverifiedCertificates[0].Issuer.String()), 200) + ")"
}

func certNames(c *x509.Certificate) string {
	if c == nil {
		return "none"
	}
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "it holds none, only the subject " + clip(plainText(c.Subject.String()), 200)
	}
	return clip(plainText(strings.Join(names, ", ")), 200)
}

// speaksTLSOnly reports whether a 400 says that plain HTTP was sent to a TLS port, as Go's and nginx's servers word it.
func speaksTLSOnly(status int, body []byte) bool {
	return status == http.StatusBadRequest && (bytes.Contains(body, []byte("HTTP request to an HTTPS server")) ||
		bytes.Contains(body, []byte("plain HTTP request was sent to HTTPS port")))
}
