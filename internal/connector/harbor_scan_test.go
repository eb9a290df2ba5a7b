package connector_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	stored "github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestOpenHarborScan looks at which login is sent for a scan, and that none is once it has ended.
func TestOpenHarborScan(t *testing.T) {
	var sent string
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent = r.Header.Get("Authorization"); sent == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer registry.Close()
	keys, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	client := oci.New(oci.Options{AllowLoopback: true})
	defer client.Close()
	c := connector.New(client, nil, keys)
	sealed := func(login stored.HarborLogin, id string) []byte {
		plain, err := json.Marshal(login)
		if err != nil {
			t.Fatal(err)
		}
		out, err := keys.Seal(plain, id)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	robot := stored.HarborLogin{Username: "robot$a", Secret: "b"}
	for name, c2 := range map[string]struct {
		state      stored.HarborState
		sealed     []byte
		sent       string
		open, ping tidewaiter.ErrorKind
	}{
		"robot":                {stored.HarborWaiting, sealed(robot, "id"), "Basic cm9ib3QkYTpi", "", ""},
		"token":                {stored.HarborWaiting, sealed(stored.HarborLogin{Secret: "t"}, "id"), "Bearer t", "", ""},
		"anonymous":            {stored.HarborWaiting, nil, "", "", tidewaiter.ErrAuth},
		"another scan's login": {stored.HarborWaiting, sealed(robot, "other"), "", tidewaiter.ErrMalformed, ""},
		"ended":                {stored.HarborDone, sealed(robot, "id"), "", tidewaiter.ErrAuth, ""},
	} {
		sent = ""
		source, err := c.OpenHarborScan(&stored.HarborScan{ID: "id", URL: registry.URL, State: c2.state, Sealed: c2.sealed}, nil)
		if tidewaiter.KindOf(err) != c2.open {
			t.Errorf("%s: open: %v", name, err)
		}
		if err != nil {
			continue
		}
		if err := source.Ping(t.Context()); tidewaiter.KindOf(err) != c2.ping || sent != c2.sent {
			t.Errorf("%s: sent %q, want %q: %v", name, sent, c2.sent, err)
		}
	}
}
