package emulator_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// TestOracleSignatureIsVerified signs what is not sent, or not enough of it, or with what does not count.
func TestOracleSignatureIsVerified(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.OCIR})
	other := start(t, emulator.Options{Kind: emulator.OCIR})
	l := e.Login()
	type signing struct {
		key, host, target, date, headers, fingerprint string
	}
	for name, change := range map[string]func(*signing){
		"right":             func(*signing) {},
		"another key":       func(s *signing) { s.key = string(other.Login().PrivateKey) },
		"another's name":    func(s *signing) { s.fingerprint = other.Login().Fingerprint },
		"another host":      func(s *signing) { s.host = "artifacts.example.com" },
		"another path":      func(s *signing) { s.target = "/20160918/container/configuration?compartmentId=x" },
		"another query":     func(s *signing) { s.target += "&limit=1000" },
		"an hour old":       func(s *signing) { s.date = time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) },
		"an hour to come":   func(s *signing) { s.date = time.Now().Add(time.Hour).UTC().Format(http.TimeFormat) },
		"without the date":  func(s *signing) { s.headers = "(request-target) host" },
		"without the host":  func(s *signing) { s.headers = "date (request-target)" },
		"of the date alone": func(s *signing) { s.headers = "date" },
	} {
		for path, base := range map[string]string{"/20160918/container/repositories?compartmentIdInSubtree=true&compartmentId=" + url.QueryEscape(l.TenancyOCID): e.API,
			"/20180419/docker/token": e.URL} {
			s := signing{key: string(l.PrivateKey), host: strings.TrimPrefix(base, "http://"), target: path, headers: "date (request-target) host",
				date: time.Now().UTC().Format(http.TimeFormat), fingerprint: l.Fingerprint}
			change(&s)
			var lines []string
			for header := range strings.FieldsSeq(s.headers) {
				value := map[string]string{"date": s.date, "host": s.host, "(request-target)": "get " + s.target}[header]
				lines = append(lines, header+": "+value)
			}
			sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
			signature, err := rsa.SignPKCS1v15(rand.Reader, privateKey(t, []byte(s.key)), crypto.SHA256, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, e, "Date", s.date, "Authorization", `Signature version="1",keyId="`+l.TenancyOCID+"/"+l.UserOCID+"/"+s.fingerprint+
				`",algorithm="rsa-sha256",headers="`+s.headers+`",signature="`+base64.StdEncoding.EncodeToString(signature)+`"`)
			want := http.StatusUnauthorized
			if name == "right" {
				want = http.StatusOK
			}
			if got := c.get(base + path).status; got != want {
				t.Errorf("%s, %s: status %d", name, path, got)
			}
		}
	}
}
