package emulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// awsIdentity is who signed a request.
type awsIdentity struct {
	key  string
	role string // of temporary keys
}

// signatureError is why a signature was refused, by AWS's own code.
type signatureError struct{ code, message string }

// Error says why.
func (f *signatureError) Error() string { return f.code + ": " + f.message }

// awsSkew is how far a request's time may be off. AWS: "Troubleshooting AWS Signature Version 4": five minutes.
const awsSkew = 5 * time.Minute

// verifyAWS computes the signature of a request again and returns who signed it. The body stays readable. AWS: "Create a
// signed AWS API request", Signature Version 4.
func (e *Emulator) verifyAWS(r *http.Request, services ...string) (awsIdentity, *signatureError) {
	fields, err := parseAWS(r.Header.Get("Authorization"))
	if err != nil {
		return awsIdentity{}, err
	}
	secret, who, err := e.awsSecret(fields.key, r.Header.Get("X-Amz-Security-Token"))
	if err != nil {
		return awsIdentity{}, err
	}
	at, parseErr := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if parseErr != nil {
		return awsIdentity{}, &signatureError{"IncompleteSignatureException", "Date must be in ISO-8601 'basic format'"}
	}
	if off := e.now().Sub(at); off > awsSkew || off < -awsSkew {
		return awsIdentity{}, &signatureError{"InvalidSignatureException", "Signature expired: " + at.Format(time.RFC3339) + " is now earlier than the time allowed"}
	}
	region := e.Login().Region
	if fields.date != at.Format("20060102") || fields.region != region || !slices.Contains(services, fields.service) {
		return awsIdentity{}, &signatureError{"InvalidSignatureException", "Credential should be scoped to a valid region and service: " + region}
	}
	if !slices.Contains(fields.signed, "host") {
		return awsIdentity{}, &signatureError{"InvalidSignatureException", "'Host' must be a 'SignedHeader' in the AWS Authorization"}
	}
	body, readErr := io.ReadAll(r.Body)
	if readErr != nil {
		return awsIdentity{}, &signatureError{"SerializationException", "the body cannot be read"}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	payload := sha256.Sum256(body)
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), canonicalHeaders(r, fields.signed),
		strings.Join(fields.signed, ";"), hex.EncodeToString(payload[:]),
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{fields.date, fields.region, fields.service, "aws4_request"}, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), scope, hex.EncodeToString(sum[:])}, "\n")
	k := mac([]byte("AWS4"+secret), fields.date)
	for _, part := range []string{fields.region, fields.service, "aws4_request"} {
		k = mac(k, part)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(mac(k, text))), []byte(fields.signature)) {
		return awsIdentity{}, &signatureError{"InvalidSignatureException", "The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method."}
	}
	return who, nil
}

// awsSecret returns the secret of a key id: the configured one, or one that was issued for a role.
func (e *Emulator) awsSecret(id, session string) (string, awsIdentity, *signatureError) {
	unknown := &signatureError{"UnrecognizedClientException", "The security token included in the request is invalid."}
	if session == "" {
		l := e.Login()
		if id != l.AccessKeyID {
			return "", awsIdentity{}, unknown
		}
		return l.SecretAccessKey, awsIdentity{key: id}, nil
	}
	c, err := e.check("aws-session", session)
	if err != nil {
		if e.expired("aws-session", session) {
			return "", awsIdentity{}, &signatureError{"ExpiredTokenException", "The security token included in the request is expired"}
		}
		return "", awsIdentity{}, unknown
	}
	if c.Subject != id {
		return "", awsIdentity{}, unknown
	}
	return e.temporarySecret(id), awsIdentity{key: id, role: c.Scopes[0]}, nil
}

// temporarySecret is the secret that belongs to temporary keys: it follows from the id, so that none are stored.
func (e *Emulator) temporarySecret(id string) string {
	return hex.EncodeToString(mac(e.keys.token[:], "secret of "+id))[:40]
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // a hash takes everything
	return h.Sum(nil)
}

type awsFields struct {
	key, date, region, service, signature string
	signed                                []string
}

func parseAWS(header string) (awsFields, *signatureError) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return awsFields{}, &signatureError{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || parts["Signature"] == "" || parts["SignedHeaders"] == "" {
		return awsFields{}, &signatureError{"IncompleteSignatureException", "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders'"}
	}
	return awsFields{
		key: scope[0], date: scope[1], region: scope[2], service: scope[3], signature: parts["Signature"],
		signed: strings.Split(parts["SignedHeaders"], ";"),
	}, nil
}

// canonicalPath escapes the path twice, as all services but S3 want it.
func canonicalPath(u *url.URL) string {
	var parts []string
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		parts = append(parts, awsEscape(part))
	}
	if p := strings.Join(parts, "/"); p != "" {
		return p
	}
	return "/"
}

func canonicalQuery(u *url.URL) string {
	var pairs []string
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, awsEscape(name)+"="+awsEscape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func awsEscape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func canonicalHeaders(r *http.Request, signed []string) string {
	var b strings.Builder
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	return b.String()
}
