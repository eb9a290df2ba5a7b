package emulator_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// open is a registry that wants no login, so that only faults are seen.
func open(t *testing.T, o emulator.Options) (*emulator.Emulator, *client) {
	t.Helper()
	o.Kind, o.Anonymous = emulator.OCI, true
	e := start(t, o)
	return e, newClient(t, e)
}

func inject(t *testing.T, e *emulator.Emulator, f emulator.Fault) {
	t.Helper()
	if err := e.Inject(f); err != nil {
		t.Fatal(err)
	}
}

func TestPausesAreAnnouncedAndCounted(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	later := now.Add(30 * time.Second)
	unix := strconv.FormatInt(later.Unix(), 10)
	for pause, want := range map[emulator.Pause][2]string{
		emulator.PauseSeconds:   {"Retry-After", "30"},
		emulator.PauseDate:      {"Retry-After", "Tue, 03 Feb 2026 04:05:36 GMT"},
		emulator.PauseUnix:      {"X-Retry-After", unix},
		emulator.PauseXReset:    {"X-Ratelimit-Reset", unix},
		emulator.PauseReset:     {"Ratelimit-Reset", "30"},
		emulator.PauseRemaining: {"Ratelimit-Remaining", "0;w=30"},
	} {
		t.Run(string(pause), func(t *testing.T) {
			clock := now
			e, c := open(t, emulator.Options{Now: func() time.Time { return clock }})
			inject(t, e, emulator.Fault{Pattern: `/v2/_catalog`, Times: 1, Status: 429, Pause: pause, Wait: 30 * time.Second})
			a := c.get(e.URL + "/v2/_catalog")
			if a.status != 429 || a.header.Get(want[0]) != want[1] || !strings.Contains(string(a.body), "errors") {
				t.Errorf("status %d, %v, %s", a.status, a.header, a.body)
			}
			c.get(e.URL + "/v2/")
			clock = later
			if a := c.get(e.URL + "/v2/_catalog"); a.status != 200 || e.DuringPause() != 1 {
				t.Errorf("status %d, %d requests too early", a.status, e.DuringPause())
			}
		})
	}
}

func TestLimitIsOfAWindow(t *testing.T) {
	clock := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	e, c := open(t, emulator.Options{Now: func() time.Time { return clock }, Limit: &emulator.Limit{Requests: 2, Window: time.Minute, Pause: emulator.PauseXReset}})
	if a := c.get(e.URL + "/v2/"); a.header.Get("X-Ratelimit-Remaining") != "1" {
		t.Errorf("%v", a.header)
	}
	for _, want := range []int{200, 429, 429} {
		if a := c.get(e.URL + "/v2/"); a.status != want {
			t.Errorf("status %d, want %d", a.status, want)
		}
	}
	clock = clock.Add(time.Minute)
	if a := c.get(e.URL + "/v2/"); a.status != 200 || e.DuringPause() != 1 {
		t.Errorf("status %d, %d too early", a.status, e.DuringPause())
	}
}

func TestThrottlingOfAWSIsAnErrorOfItsOwn(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ECR, Limit: &emulator.Limit{Requests: 1, Pause: emulator.PauseAWS}})
	c := ecrClient(e, staticKeys(e.Login()))
	if _, err := c.DescribeRepositories(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DescribeRepositories(t.Context(), nil); codeOf(err) != "ThrottlingException" {
		t.Error(err)
	}
}

func TestBodiesBreak(t *testing.T) {
	e, c := open(t, emulator.Options{})
	address := e.URL + "/v2/_catalog"
	whole := c.get(address)
	for name, f := range map[string]emulator.Fault{"in the middle": {Cut: 20}, "before the header": {Cut: -1}} {
		inject(t, e, f)
		resp, err := c.http.Get(address)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if len(b) != 20 || string(b) != string(whole.body[:20]) {
				t.Errorf("%s: got %q", name, b)
			}
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		e.Heal()
	}
	inject(t, e, emulator.Fault{Corrupt: true})
	if a := c.get(address); len(a.body) != len(whole.body) || string(a.body[1:]) != string(whole.body[1:]) || a.body[0] == whole.body[0] {
		t.Errorf("corrupt: %s", a.body)
	}
	e.Heal()
	inject(t, e, emulator.Fault{Slow: time.Microsecond, Delay: time.Microsecond})
	if a := c.get(address); string(a.body) != string(whole.body) {
		t.Errorf("slow: %s", a.body)
	}
}

func TestFaultsHitTheirNumberOfRequests(t *testing.T) {
	e, c := open(t, emulator.Options{})
	inject(t, e, emulator.Fault{Pattern: `^GET /v2/$`, After: 1, Times: 2, Status: 503, Body: "out", Header: http.Header{"Content-Type": {"text/plain"}}})
	var got []int
	for range 4 {
		got = append(got, c.get(e.URL+"/v2/").status)
	}
	if want := []int{200, 503, 503, 200}; !equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := e.Inject(emulator.Fault{Pattern: "("}); err == nil {
		t.Error("no regular expression, no error")
	}
}

func equal(a, b []int) bool {
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestListingsEndEarlyWhereTold(t *testing.T) {
	for name, k := range kinds() {
		t.Run(string(name), func(t *testing.T) {
			e := start(t, emulator.Options{Kind: name})
			inject(t, e, emulator.Fault{Early: true})
			got, want := 0, 9*27
			for _, tags := range k.list(t, e) {
				got += len(tags)
			}
			// An Artifactory's answer is as long as was asked for; there is no mark that could be left out.
			if got == 0 || name != emulator.Artifactory && got >= want {
				t.Errorf("%d tags of %d", got, want)
			}
		})
	}
}

func TestCountsAreOfEndpoints(t *testing.T) {
	e, c := open(t, emulator.Options{})
	c.get(e.URL + "/v2/_catalog")
	c.get(e.URL + "/v2/acme/app-00001/tags/list")
	c.get(e.URL + "/v2/acme/app-00002/tags/list")
	if got := e.Counts(); got["GET /v2/_catalog"] != 1 || got["GET /v2/{name}/tags"] != 2 || e.Count() != 3 {
		t.Errorf("%v", got)
	}
	seen, err := e.Requests(`tags/list$`)
	if err != nil || len(seen) != 2 || seen[1].Path != "/v2/acme/app-00002/tags/list" || seen[1].Status != 200 {
		t.Errorf("%+v, %v", seen, err)
	}
	e.Forget()
	if e.Count() != 0 || len(e.Counts()) != 0 {
		t.Error("not forgotten")
	}
}

func TestConcurrencyIsSeen(t *testing.T) {
	e, c := open(t, emulator.Options{})
	inject(t, e, emulator.Fault{Delay: time.Hour})
	for range 3 {
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/v2/", nil)
			if err == nil {
				if resp, err := c.http.Do(r); err == nil {
					_ = resp.Body.Close()
				}
			}
		}()
	}
	for e.MaxConcurrent() < 3 { // ends with the test's own time if it never happens
		if t.Context().Err() != nil {
			t.Fatal("never three at once")
		}
		runtime.Gosched()
	}
}
