package app_test

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	ours "github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
)

// TestHarborShowsTheKey registers the scanner in each way Harbor knows.
func TestHarborShowsTheKey(t *testing.T) {
	t.Parallel()
	const key = "a key of some length"
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	h := asHarbor(t, s)
	admin, err := ours.New(s.URL(), ours.Basic("admin", adminPassword))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutHarborKey(t.Context(), "short"); err == nil {
		t.Error("a key of five letters is taken")
	}
	set := func(key string) {
		got, err := admin.PutHarborKey(t.Context(), key)
		if err != nil || got.Key != (key != "") || !strings.HasSuffix(h.base, got.Path) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	ask := func(method, path string, header func(*http.Request)) harborAnswer {
		req, err := http.NewRequestWithContext(t.Context(), method, h.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		header(req)
		res, err := h.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return harborAnswer{res.StatusCode, res.Header, readAll(t, res.Body)}
	}
	none := func(*http.Request) {}
	h.checkedMetadata(ask("GET", "/api/v1/metadata", none))
	set(key)
	for name, c := range map[string]struct {
		header func(*http.Request)
		want   int
	}{
		"none":         {none, 401},
		"basic":        {func(r *http.Request) { r.SetBasicAuth("harbor", key) }, 200},
		"bearer":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }, 200},
		"API key":      {func(r *http.Request) { r.Header.Set("X-Scanneradapter-Api-Key", key) }, 200},
		"wrong basic":  {func(r *http.Request) { r.SetBasicAuth(key, "harbor") }, 401},
		"wrong bearer": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key+"x") }, 401},
		"wrong key":    {func(r *http.Request) { r.Header.Set("X-Scanneradapter-Api-Key", key[1:]) }, 401},
	} {
		a := ask("GET", "/api/v1/metadata", c.header)
		if a.status != c.want || strings.Contains(a.body, key) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if c.want == http.StatusUnauthorized {
			a.refused(t, http.StatusUnauthorized)
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: nobody says how to log in", name)
			}
			ask("POST", "/api/v1/scan", c.header).refused(t, http.StatusUnauthorized)
			ask("GET", "/api/v1/scan/x/report", c.header).refused(t, http.StatusUnauthorized)
		}
	}
	set("")
	h.checkedMetadata(ask("GET", "/api/v1/metadata", none))
}

func (h *harborSide) checkedMetadata(a harborAnswer) {
	h.t.Helper()
	var m struct{ Capabilities []struct{ Type string } }
	a.wants(h.t, http.StatusOK, harborMetadata, &m)
	if len(m.Capabilities) != 2 {
		h.t.Errorf("%+v", m)
	}
}

// TestHarborAnswersArePacked asks as Go's client does when it unpacks by itself, and as one that does not want that.
func TestHarborAnswersArePacked(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	h := asHarbor(t, s)
	for accept, packed := range map[string]bool{"gzip": true, "deflate, gzip;q=0.5": true, "identity": false, "gzip;q=0": false, "gzip;q=0.0, *": false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+"/api/v1/metadata", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", accept)
		res, err := h.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != packed || res.Header.Get("Content-Type") != harborMetadata {
			t.Errorf("%s: %v", accept, res.Header)
			continue
		}
		body := res.Body
		if packed {
			if body, err = gzip.NewReader(res.Body); err != nil {
				t.Fatal(err)
			}
		}
		var m struct{ Scanner struct{ Name string } }
		if err := json.NewDecoder(body).Decode(&m); err != nil || m.Scanner.Name == "" {
			t.Errorf("%s: %+v, %v", accept, m, err)
		}
	}
	// A wait has no body to pack.
	if a := h.do("GET", "/api/v1/scan/none/report", harborVulnerabilities, "", ""); a.status != http.StatusNotFound {
		t.Errorf("%d", a.status)
	}
}
