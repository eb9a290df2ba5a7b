package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestOurOwnPullsLeadToNothing has a real registry tell of everything, also of what we pull from it. It tells things in
// their order, so that once it told of the last push it has told of the pulls before.
func TestOurOwnPullsLeadToNothing(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	registry := testkit.Registry(t, testkit.Options{Notify: s.webhook(t)})
	r := s.declareQuietly(t, registry.URL)
	arrived := func(tag string) {
		t.Helper()
		eventually(t, tag+" is scanned", func() bool { return s.results(t)["team/app:"+tag].Image != nil })
		s.noneNew(t)
		s.finished(t)
	}
	push(t, registry.URL, "team/app", someImage("left-pad"), "v1")
	arrived("v1")
	s.rescan(t, r)
	if _, err := s.control.StartScan(t.Context(), r.ID, control.ScanRequest{Lane: tidewaiter.LaneFresh, Force: true}); err != nil {
		t.Fatal(err)
	}
	s.finished(t)
	push(t, registry.URL, "team/app", someImage("right-pad"), "v2")
	arrived("v2")
	byEvent := 0
	for _, scan := range s.scans(t) {
		if scan.Lane == tidewaiter.LaneEvent {
			byEvent++
		}
	}
	if byEvent != 2 || len(s.scans(t)) != 4 {
		t.Errorf("%d scans, %d by events; want 4, and 2 for the two pushes", len(s.scans(t)), byEvent)
	}
	for _, e := range s.events(t) {
		if e.Action != "push" || strings.Contains(e.Reason, "action") {
			t.Errorf("an event of a pull is kept: %+v", e)
		}
	}
}

// TestHarborPullsLeadToNothing sends what Harbor tells of a scan's own pull.
func TestHarborPullsLeadToNothing(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	r := s.declareQuietly(t, "https://harbor.example.com")
	address := s.address(t, r, control.EventProofChange{})
	const data = `{"resources":[{"digest":"sha256:%s","tag":"v1","resource_url":"harbor.example.com/team/app:v1"}],"repository":{"repo_full_name":"team/app"}}`
	what := fmt.Sprintf(data, strings.Repeat("ab", 32))
	for _, body := range []string{
		`{"type":"PULL_ARTIFACT","operator":"robot$team+tidewaiter-1","event_data":` + what + `}`,
		`{"specversion":"1.0","id":"1","type":"harbor.artifact.pulled","data":` + what + `}`,
	} {
		if code, answer := deliver(t, "POST", address, body, nil); code != 200 || answer != "" {
			t.Errorf("%d %s", code, answer)
		}
	}
	for _, body := range []string{`{"type":"SCANNING_COMPLETED","event_data":` + what + `}`, `{"specversion":"1.0","id":"2","type":"harbor.scan.completed","data":` + what + `}`} {
		if code, answer := deliver(t, "POST", address, body, nil); code != 200 || !strings.Contains(answer, "nothing follows") {
			t.Errorf("%d %s", code, answer)
		}
	}
	if list := s.events(t); len(list) != 2 || list[0].State != store.EventUnused || list[1].State != store.EventUnused || len(s.scans(t)) != 0 {
		t.Errorf("%d events, %d scans", len(list), len(s.scans(t)))
	}
}
