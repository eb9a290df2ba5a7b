package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// The headers every delivery has.
const (
	HeaderDelivery  = "X-Tidewaiter-Delivery"  // its id
	HeaderTopic     = "X-Tidewaiter-Topic"     // what it is about
	HeaderAttempt   = "X-Tidewaiter-Attempt"   // 1, 2, …
	HeaderSignature = "X-Tidewaiter-Signature" // of signed ones
)

// Sign returns the signature header of a body: "t=<unix seconds>,v1=<hex>", where v1 is the HMAC-SHA256 of "<t>.<body>" by a
// secret. There is a v1 for each secret.
func Sign(body []byte, at time.Time, secrets ...secret.Value) string {
	t := strconv.FormatInt(at.Unix(), 10)
	var out strings.Builder
	out.WriteString("t=" + t)
	for _, s := range secrets {
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		_, _ = mac.Write([]byte(t + "."))
		_, _ = mac.Write(body)
		out.WriteString(",v1=" + hex.EncodeToString(mac.Sum(nil)))
	}
	return out.String()
}

// signatures returns the secrets in force at a time, the newest first.
func (s *Secrets) signatures(now time.Time) []secret.Value {
	var out []secret.Value
	if !s.Signing.IsZero() {
		out = append(out, s.Signing)
	}
	if !s.Previous.IsZero() && now.Before(s.PreviousUntil) {
		out = append(out, s.Previous)
	}
	return out
}
