package app_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// address gives a registry an address for its events and returns it.
func (s *server) address(t *testing.T, r *tidewaiter.Registry, proof control.EventProofChange) string {
	t.Helper()
	a, err := s.control.MakeEventAddress(t.Context(), r.ID, proof)
	if err != nil {
		t.Fatal(err)
	}
	return s.URL() + control.EventPath + r.ID + "/" + a.End.Reveal()
}

// deliver sends a body and returns status and answer.
func deliver(t *testing.T, method, address, body string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, readAll(t, res.Body)
}

func (s *server) noneNew(t *testing.T) {
	t.Helper()
	eventually(t, "no event is new", func() bool { return len(s.events(t, store.EventNew)) == 0 })
}

// TestStormAtAnAddressIsOneScan sends a thousand different events of one tag at once, and half of them again.
func TestStormAtAnAddressIsOneScan(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		registry := testkit.Registry(t, testkit.Options{})
		s := start(t, app.Config{Database: database, Advisories: []string{registry.Host + "/none:1"}})
		r := s.declareQuietly(t, registry.URL)
		image := someImage("left-pad")
		push(t, registry.URL, "team/app", image, "v1")
		address := s.address(t, r, control.EventProofChange{})
		const senders, each = 20, 50
		var group sync.WaitGroup
		for sender := range senders {
			group.Go(func() {
				for i := range each + each/2 {
					// The host is the registry's name in its own network, which nobody declared.
					body := envelope("push", "registry:5000", "team/app", "v1", image.Digest)
					s.send(t, address, strings.Replace(body, `"e-1"`, fmt.Sprintf(`"e-%d-%d"`, sender, i%each), 1))
				}
			})
		}
		group.Wait()
		s.noneNew(t)
		s.finished(t)
		done := s.events(t, store.EventDone)
		if len(done) != senders*each {
			t.Errorf("%d events were used, want %d", len(done), senders*each)
		}
		for _, e := range done {
			if e.RegistryID != r.ID || len(e.RegistryIDs) != 1 {
				t.Fatalf("%+v", e)
			}
		}
		if scans := s.scans(t); len(scans) != 1 {
			t.Errorf("%d scans, want 1", len(scans))
		}
		if rows := s.results(t); len(rows) != 1 {
			t.Errorf("%d results, want 1", len(rows))
		}
		ofRegistry, _, err := s.control.ListEvents(t.Context(), control.EventFilter{Registry: r.ID, Senders: []string{"distribution"}, Page: control.Page{Limit: 10}})
		if err != nil || len(ofRegistry) != 10 {
			t.Errorf("%d events of the registry, %v", len(ofRegistry), err)
		}
		for _, f := range []control.EventFilter{{Registry: "another"}, {Senders: []string{"quay"}}} {
			if list, _, err := s.control.ListEvents(t.Context(), f); err != nil || len(list) != 0 {
				t.Errorf("%+v: %d events, %v", f, len(list), err)
			}
		}
	})
}

// TestAddressIsRotatedAndRevoked follows an address through its life.
func TestAddressIsRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	registry := testkit.Registry(t, testkit.Options{})
	log := &record{}
	s := start(t, app.Config{Advisories: []string{registry.Host + "/none:1"},
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	r := s.declareQuietly(t, registry.URL)
	first := s.address(t, r, control.EventProofChange{})
	if again := s.address(t, r, control.EventProofChange{}); again != first {
		t.Error("the address changes by itself")
	}
	status := func(address string) int {
		code, _ := deliver(t, "POST", address, "", nil)
		return code
	}
	rotate := func(keep time.Duration) string {
		a, err := s.control.RotateEventAddress(t.Context(), r.ID, keep)
		if err != nil {
			t.Fatal(err)
		}
		if a.FormerUntil.IsZero() != (keep == 0) {
			t.Errorf("kept until %s", a.FormerUntil)
		}
		return s.URL() + control.EventPath + r.ID + "/" + a.End.Reveal()
	}
	second := rotate(time.Hour)
	if second == first || status(first) != 200 || status(second) != 200 {
		t.Errorf("with the former kept: %d, %d", status(first), status(second))
	}
	third := rotate(0)
	for address, want := range map[string]int{first: 404, second: 404, third: 200, third + "x": 404, third[:len(third)-1]: 404,
		strings.Replace(third, r.ID, "another", 1): 404} {
		if got := status(address); got != want {
			t.Errorf("%s: %d, want %d", address, got, want)
		}
	}
	if code, answer := deliver(t, "GET", third, "", nil); code != 405 || answer != "" {
		t.Errorf("GET: %d %q", code, answer)
	}
	if code, answer := deliver(t, "GET", second, "", nil); code != 404 || answer != "" {
		t.Errorf("GET of what is no address: %d %q", code, answer)
	}
	if err := s.control.RevokeEventAddress(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if got := status(third); got != 404 {
		t.Errorf("revoked: %d", got)
	}
	_, err := s.control.RotateEventAddress(t.Context(), r.ID, 0)
	if tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("rotate what is gone: %v", err)
	}
	s.stop()
	for _, address := range []string{first, second, third} {
		if end := address[strings.LastIndexByte(address, '/')+1:]; strings.Contains(log.log.String(), end) {
			t.Error("the log tells a secret address")
		}
	}
	if !strings.Contains(log.log.String(), control.EventPath+r.ID) {
		t.Error("the log tells nothing of the requests")
	}
}

const gitHubPush = `{"action":"published","package":{"name":"app","package_type":"CONTAINER","owner":{"login":"team"},"package_version":{"container_metadata":{"tag":{"name":"v1","digest":"sha256:%s"}}}}}`

// TestProofsOfAnAddress sends what has to be proved, and what does not.
func TestProofsOfAnAddress(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	r := s.declareQuietly(t, "https://ghcr.io")
	hush := secret.New("hush hush hush")
	plain := s.address(t, r, control.EventProofChange{})
	body := fmt.Sprintf(gitHubPush, strings.Repeat("ab", 32))
	mac := hmac.New(sha256.New, []byte(hush.Reveal()))
	mac.Write([]byte(body))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	hub := `{"push_data":{"tag":"v1"},"repository":{"repo_name":"team/app"}}`
	try := func(name, body string, header map[string]string, want int) {
		t.Helper()
		if code, answer := deliver(t, "POST", plain, body, header); code != want || strings.Contains(answer, hush.Reveal()) {
			t.Errorf("%s: %d %s, want %d", name, code, answer, want)
		}
	}
	gitHub := func(more ...string) map[string]string {
		h := map[string]string{"X-GitHub-Event": "package"}
		for i := 0; i+1 < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	try("nothing asked for", body, gitHub(), 200)
	s.address(t, r, control.EventProofChange{Secret: &hush})
	try("signed", body, gitHub("X-Hub-Signature-256", signature), 200)
	try("unsigned", body, gitHub(), 403)
	try("signed otherwise", body, gitHub("X-Hub-Signature-256", signature[:len(signature)-2]+"00"), 403)
	try("the secret as a header where it was to sign", body, gitHub("Authorization", hush.Reveal()), 403)
	try("a sender that cannot sign", hub, nil, 403)
	s.address(t, r, control.EventProofChange{EventProof: control.EventProof{Header: "authorization"}})
	try("by header", hub, map[string]string{"Authorization": hush.Reveal()}, 200)
	try("another header", hub, map[string]string{"X-Secret": hush.Reveal()}, 403)
	try("half of it", hub, map[string]string{"Authorization": hush.Reveal()[:8]}, 403)
	try("signed, as before", body, gitHub("X-Hub-Signature-256", signature), 200)
	try("what nobody knows", `{"hello":"world"}`, nil, 200)
	s.address(t, r, control.EventProofChange{Secret: &secret.Value{}})
	try("nothing asked for any more", hub, nil, 200)
	for name, change := range map[string]control.EventProofChange{
		"header":   {EventProof: control.EventProof{Header: "a b"}},
		"secret":   {EventProof: control.EventProof{Header: "Authorization"}},
		"email":    {EventProof: control.EventProof{Audience: "x"}},
		"audience": {EventProof: control.EventProof{Audience: strings.Repeat("x", 501), Email: "a@b"}},
	} {
		_, err := s.control.MakeEventAddress(t.Context(), r.ID, change)
		if e, ok := errors.AsType[*tidewaiter.Error](err); !ok || e.Kind != tidewaiter.ErrInvalid || e.Field != name || e.Fix == "" && name != "audience" && name != "secret" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, e := range s.events(t, store.EventUnused) {
		full, err := s.control.Event(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.Reason, "signature") && full.Body != nil {
			t.Errorf("the body of an event without proof is kept: %+v", e)
		}
	}
}

// TestPubSubPushesWithAToken has a Google of our own sign the tokens.
func TestPubSubPushesWithAToken(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	google := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{"kty": "RSA", "kid": "k", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	}))
	t.Cleanup(google.Close)
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}, Endpoints: map[string]string{"google-keys": google.URL}})
	r := s.declareQuietly(t, "https://europe-docker.pkg.dev")
	address := s.address(t, r, control.EventProofChange{EventProof: control.EventProof{Audience: "tidewaiter", Email: "push@p.iam.gserviceaccount.com"}})
	token := func(audience string) string {
		unsigned := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": "https://accounts.google.com", "aud": audience,
			"email": "push@p.iam.gserviceaccount.com", "email_verified": true, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
		unsigned.Header["kid"] = "k"
		signed, err := unsigned.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + signed
	}
	data := base64.StdEncoding.EncodeToString([]byte(`{"action":"INSERT","digest":"europe-docker.pkg.dev/p/r/app@sha256:` +
		strings.Repeat("ab", 32) + `","tag":"europe-docker.pkg.dev/p/r/app:v1"}`))
	body := `{"subscription":"projects/p/subscriptions/s","message":{"messageId":"7","data":"` + data + `"}}`
	for name, c := range map[string]struct {
		body, token string
		want        int
	}{
		"right":            {body, token("tidewaiter"), 200},
		"none":             {body, "", 403},
		"another audience": {body, token("elsewhere"), 403},
		"another sender":   {`{"push_data":{"tag":"v1"},"repository":{"repo_name":"team/app"}}`, token("tidewaiter"), 403},
	} {
		if code, answer := deliver(t, "POST", address, c.body, map[string]string{"Authorization": c.token}); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, answer, c.want)
		}
	}
	if list := s.events(t); len(list) != 4 {
		t.Errorf("%d events", len(list))
	}
}

// TestEventGridHandshakes answers both of Azure's handshakes and calls nothing.
func TestEventGridHandshakes(t *testing.T) {
	t.Parallel()
	calls := newTrap(t)
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	r := s.declareQuietly(t, "https://team.azurecr.io")
	for _, address := range []string{s.webhook(t), s.address(t, r, control.EventProofChange{})} {
		body := `[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"c-1","validationUrl":"` + calls.url + `/validate"}}]`
		if code, answer := deliver(t, "POST", address, body, map[string]string{"Aeg-Event-Type": "SubscriptionValidation"}); code != 200 || answer != `{"validationResponse":"c-1"}` {
			t.Errorf("%d %q", code, answer)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Webhook-Request-Origin", "eventgrid.azure.net")
		req.Header.Set("Webhook-Request-Callback", calls.url+"/callback")
		req.Header.Set("Webhook-Request-Rate", "120")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Header.Get("Webhook-Allowed-Origin") != "eventgrid.azure.net" || res.Header.Get("Webhook-Allowed-Rate") == "" {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	}
	s.stop()
	if n := calls.count.Load(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// trap is a server on this machine that nobody may call.
type trap struct {
	url   string
	count atomic.Int64
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	c := &trap{}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.count.Add(1) }))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// TestHostileDeliveries sends what a stranger who learned an address would.
func TestHostileDeliveries(t *testing.T) {
	t.Parallel()
	calls := newTrap(t)
	log := &record{}
	ours, theirs := testkit.Registry(t, testkit.Options{}), testkit.Registry(t, testkit.Options{})
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	r := s.declareQuietly(t, ours.URL)
	s.declareQuietly(t, theirs.URL)
	image := someImage("left-pad")
	push(t, ours.URL, "team/app", image, "v1")
	push(t, theirs.URL, "team/app", image, "v1")
	address := s.address(t, r, control.EventProofChange{})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte{' '}, 64<<20))
	_ = z.Close()
	host := strings.TrimPrefix(calls.url, "http://")
	many := `{"events":[` + strings.TrimSuffix(strings.Repeat(`{"action":"push"},`, 501), ",") + `]}`
	hub := func(repository, tag string) string {
		return fmt.Sprintf(`{"callback_url":%q,"push_data":{"tag":%q},"repository":{"repo_name":%q,"repo_url":%q}}`, calls.url, tag, repository, calls.url)
	}
	type header = map[string]string
	for _, c := range []struct {
		name, body string
		header     header
		status     int
		reason     string // of the stored event; "" when nothing is stored
		logged     bool
	}{
		{"oversized", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "", true},
		{"deeply nested", strings.Repeat("[", 1<<20), nil, 200, "nests deeper", true},
		{"nested in a field", `{"events":[{"action":` + strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500) + "}]}", nil, 200, "nests deeper", true},
		{"compressed", bomb.String(), header{"Content-Encoding": "gzip"}, 415, "", true},
		{"compressed, not said", bomb.String(), nil, 200, "no JSON object", true},
		{"many events", many, nil, 200, "more than 500", true},
		{"not UTF-8", "{\"push_data\":{\"tag\":\"\xff\xfe\"},\"repository\":{\"repo_name\":\"team/app\"}}", nil, 200, "no valid tag", false},
		{"a NUL", `{"push_data":{"tag":"v\u00001"},"repository":{"repo_name":"team/app"}}`, nil, 200, "no valid tag", false},
		{"path in a name", hub("../../etc/passwd", "v1"), nil, 200, "no valid repository", false},
		{"another's host", envelope("push", theirs.Host, "team/app", "v1", image.Digest), nil, 200, "came to the address of", false},
		{"a certain host", hub("team/app", "v1"), nil, 200, "came to the address of", false},
		{"a call back", fmt.Sprintf(`{"events":[{"action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","url":"%s/v2/team/app/manifests/v9","repository":"team/app","tag":"v9"},"request":{"host":%q}}]}`, calls.url, host), nil, 200, "no longer has", false},
		{"metadata", envelope("push", "169.254.169.254", "team/app", "v8", image.Digest), nil, 200, "no longer has", false},
		{"a deletion that is not true", envelope("delete", "registry:5000", "team/app", "v1", image.Digest), nil, 200, "still has", false},
		{"nothing at all", "null", nil, 200, "no JSON object", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			log.mu.Lock()
			log.log.Reset()
			log.mu.Unlock()
			before := s.events(t)
			code, answer := deliver(t, "POST", address, c.body, c.header)
			if code != c.status {
				t.Errorf("%d %s, want %d", code, answer, c.status)
			}
			s.noneNew(t)
			after := s.events(t)
			if c.reason != "" {
				if len(after) != len(before)+1 || after[0].State != store.EventUnused || !strings.Contains(after[0].Reason, c.reason) {
					t.Errorf("%d events, then %d: %+v", len(before), len(after), after[0])
				}
			} else if code != 200 && len(after) != len(before) {
				t.Errorf("%d events, then %d", len(before), len(after))
			}
			log.mu.Lock()
			lines := strings.Count(log.log.String(), "\n")
			log.mu.Unlock()
			if want := map[bool]int{true: 1}[c.logged]; lines != want {
				t.Errorf("%d lines were logged, want %d: %s", lines, want, log.log.String())
			}
		})
	}
	if scans := s.scans(t); len(scans) != 0 {
		t.Errorf("%d scans were started", len(scans))
	}
	if n := calls.count.Load(); n != 0 {
		t.Errorf("%d calls were made to an address in an event", n)
	}
}
