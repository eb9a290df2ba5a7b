package event_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func mac(h func() hash.Hash, key, body string) string {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(body))
	return hex.EncodeToString(m.Sum(nil))
}

func TestSignatures(t *testing.T) {
	const key = "hush"
	signers := map[event.Sender]func(key, body string) (header, value string){
		event.SenderNexus: func(key, body string) (string, string) { return "X-Nexus-Webhook-Signature", mac(sha1.New, key, body) },
		event.SenderGitHub: func(key, body string) (string, string) {
			return "X-Hub-Signature-256", "sha256=" + mac(sha256.New, key, body)
		},
		event.SenderGitea: func(key, body string) (string, string) { return "X-Gitea-Signature", mac(sha256.New, key, body) },
		event.SenderJFrog: func(key, body string) (string, string) { return "X-JFrog-Event-Auth", mac(sha256.New, key, body) },
	}
	seen := map[event.Sender]bool{}
	for _, s := range shapes() {
		sign, signs := signers[s.sender]
		read := func(change func(d *event.Delivery)) tidewaiter.ErrorKind {
			d := s.delivery()
			change(&d)
			_, err := event.Read(d, []byte(key))
			return tidewaiter.KindOf(err)
		}
		if !signs {
			if got := read(func(*event.Delivery) {}); got != "" {
				t.Errorf("%s, which cannot sign: %s", s.name, got)
			}
			continue
		}
		seen[s.sender] = true
		header, right := sign(key, s.body)
		_, wrong := sign("other", s.body)
		for value, want := range map[string]tidewaiter.ErrorKind{
			right: "", wrong: tidewaiter.ErrForbidden, "": tidewaiter.ErrForbidden, "sha256=": tidewaiter.ErrForbidden, "zz": tidewaiter.ErrForbidden,
		} {
			if got := read(func(d *event.Delivery) { d.Header.Set(header, value) }); got != want {
				t.Errorf("%s with %s %q: %q, want %q", s.name, header, value, got, want)
			}
		}
		if got := read(func(d *event.Delivery) {
			d.Header.Set(header, right)
			d.Body = append(d.Body, ' ')
		}); got != tidewaiter.ErrForbidden {
			t.Errorf("%s with another body: %q", s.name, got)
		}
		if kept := (event.Delivery{Header: map[string][]string{header: {right}, "Authorization": {"x"}}}).Headers(); len(kept) != 0 {
			t.Errorf("%s: %v would be stored", s.name, kept)
		}
	}
	if len(seen) != len(signers) {
		t.Errorf("signatures of %v were tried", seen)
	}
	jfrog := event.Delivery{Header: map[string][]string{"X-Jfrog-Event-Auth": {key}}, Body: []byte(`{"domain":"docker","event_type":"pushed","data":{}}`)}
	if _, err := event.Read(jfrog, []byte(key)); err != nil {
		t.Errorf("the secret itself: %v", err)
	}
}
