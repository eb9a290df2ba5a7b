package testkit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// content is a server that gives the same kilobyte to everybody.
func content(t *testing.T) (url string, body []byte) {
	t.Helper()
	body = bytes.Repeat([]byte("0123456789abcdef"), 64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	t.Cleanup(s.Close)
	return s.URL, body
}

func get(t *testing.T, url string) (status int, header http.Header, body []byte, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

func TestFaultsHarmTheRequestsTheyAreToldTo(t *testing.T) {
	upstream, want := content(t)
	f := testkit.NewFaults(t, upstream, nil)
	f.Add(t, testkit.Fault{Path: `/tags/`, After: 1, Times: 1, Status: http.StatusTooManyRequests, RetryAfter: "7", Body: "slow"})

	for i, status := range []int{200, 429, 200} {
		got, header, body, err := get(t, f.URL+"/v2/app/tags/list?n=1")
		if err != nil || got != status {
			t.Fatalf("request %d: %d, %v", i, got, err)
		}
		if status == 200 && !bytes.Equal(body, want) {
			t.Errorf("request %d: %d bytes", i, len(body))
		}
		if status == 429 && (header.Get("Retry-After") != "7" || string(body) != "slow") {
			t.Errorf("%v %s", header, body)
		}
	}
	seen := f.Requests(t, http.MethodGet, `^/v2/app/tags/list\?n=1$`)
	if len(seen) != 3 || seen[1].Status != 429 || seen[2].Status != 200 {
		t.Errorf("%+v", seen)
	}
	if n := len(f.Requests(t, http.MethodPut, "")); n != 0 {
		t.Errorf("%d PUT requests", n)
	}
	f.Forget()
	if n := len(f.Requests(t, "", "")); n != 0 {
		t.Errorf("%d requests are remembered", n)
	}
}

func TestFaultsBreakBodies(t *testing.T) {
	upstream, want := content(t)
	f := testkit.NewFaults(t, upstream, nil)
	f.Add(t, testkit.Fault{Path: "^/cut", Cut: 100})
	f.Add(t, testkit.Fault{Path: "^/drop", Cut: -1})
	f.Add(t, testkit.Fault{Path: "^/corrupt", Corrupt: true})

	if _, _, body, err := get(t, f.URL+"/cut"); !errors.Is(err, io.ErrUnexpectedEOF) || len(body) > 100 {
		t.Errorf("cut: %d bytes, %v", len(body), err)
	}
	if _, _, _, err := get(t, f.URL+"/drop"); err == nil {
		t.Error("drop: no error")
	}
	if _, _, body, err := get(t, f.URL+"/corrupt"); err != nil || len(body) != len(want) || bytes.Equal(body, want) {
		t.Errorf("corrupt: %d bytes, %v", len(body), err)
	}
	f.Clear()
	if _, _, body, err := get(t, f.URL+"/cut"); err != nil || !bytes.Equal(body, want) {
		t.Errorf("after Clear: %d bytes, %v", len(body), err)
	}
}

func TestFaultsHoldUntilReleased(t *testing.T) {
	upstream, _ := content(t)
	f := testkit.NewFaults(t, upstream, nil)
	hold := make(chan struct{})
	f.Add(t, testkit.Fault{Hold: hold})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		_ = resp.Body.Close()
		t.Errorf("%v", err)
	}
	done := make(chan int)
	go func() {
		status, _, _, _ := get(t, f.URL)
		done <- status
	}()
	select {
	case status := <-done:
		t.Errorf("answered %d while held", status)
	default:
	}
	close(hold)
	if status := <-done; status != 200 {
		t.Errorf("answered %d", status)
	}
}

func TestFaultsInFrontOfARegistry(t *testing.T) {
	s := testkit.Registry(t, testkit.Options{Username: "ann", Password: "secret", TokenAuth: true, TLS: testkit.TLSTrusted})
	f := testkit.NewFaults(t, s.URL, s.Client().Transport)
	behind := *s
	behind.URL, behind.Host = f.URL, f.Host
	if err := push(t, &behind, samples.NewImage().Layer(samples.File("hello", "world")).MustBuild(), s.Password); err != nil {
		t.Fatal(err)
	}
	if n := len(f.Requests(t, http.MethodPut, "/blobs/uploads/")); n != 2 {
		t.Errorf("%d uploads went through the proxy, want 2", n)
	}
}
