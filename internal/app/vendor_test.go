package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
)

// vendor calls the vendors' APIs of a server as its administrator.
type vendor struct{ url string }

// call sends body as JSON, nothing for nil, and returns the answer's status and body.
func (c vendor) call(t *testing.T, method, path string, body any) (status int, answer string) {
	t.Helper()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, &sent)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", adminPassword)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, readAll(t, res.Body)
}

// write calls and wants 200.
func (c vendor) write(t *testing.T, method, path string, body any) {
	t.Helper()
	if status, answer := c.call(t, method, path, body); status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
}

// read gets JSON into v.
func (c vendor) read(t *testing.T, path string, v any) {
	t.Helper()
	status, answer := c.call(t, http.MethodGet, path, nil)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), v); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, answer)
	}
}
