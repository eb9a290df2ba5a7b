package prisma_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type step struct {
	Title, Error   string
	Total, Scanned int
	OnDemand       bool
}

type progressOf struct {
	Discovery, ImageScan step
	IsScanOngoing        bool
	SpecScanStartTime    time.Time
}

type status struct {
	ScanTime  time.Time
	Completed bool
	Scanning  bool
	Errors    []string
}

func declareTwo(c *console) {
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","registry":"r.example.com","repository":"team/*"},
		{"version":"2","repository":"library/alpine"}]}`)
}

func (c *console) scans(f control.ScanFilter) []*tidewaiter.Scan {
	c.Helper()
	list, _, err := c.control.Scans(c.Context(), f)
	c.must(err)
	return list
}

func TestScanEverything(t *testing.T) {
	for _, body := range []string{"", "{}", `{"onDemandScan":false}`, `{"tag":{}}`, `{"tag":null,"scanID":7,"type":1}`} {
		c := start(t)
		c.must(addNative(c))
		declareTwo(c)
		c.ok("POST", "/registry/scan", body)
		if n := len(c.jobs.take()); n != 2 {
			t.Errorf("%q started %d scans, want 2", body, n)
		}
		c.ok("POST", "/registry/scan", body)
		if n := len(c.jobs.take()); n != 0 {
			t.Errorf("%q again, while they run, started %d more", body, n)
		}
	}
}

func TestScanOneImage(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		lane tidewaiter.Lane
		repo string
	}{
		"regular":    {`{"tag":{"registry":"https://r.example.com","repo":"team/app","tag":"v1","digest":""}}`, tidewaiter.LaneFresh, "team/app"},
		"on demand":  {`{"onDemandScan":true,"tag":{"registry":"r.example.com","repo":"team/app","tag":"v1"}}`, tidewaiter.LaneInteractive, "team/app"},
		"docker hub": {`{"onDemandScan":true,"tag":{"registry":"","repo":"library/alpine","digest":"` + digestOf(1) + `"}}`, tidewaiter.LaneInteractive, "library/alpine"},
		"by name":    {`{"tag":{"registry":"index.docker.io","repo":"library/alpine","tag":"3.20"}}`, tidewaiter.LaneFresh, "library/alpine"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			declareTwo(c)
			c.ok("POST", "/registry/scan", tt.body)
			list := c.scans(control.ScanFilter{})
			if len(list) != 1 || list[0].Lane != tt.lane || list[0].Target == nil || list[0].Target.Repository != tt.repo || !list[0].Force {
				t.Errorf("scans: %+v", list)
			}
		})
	}
	c := start(t)
	declareTwo(c)
	if a := c.call("POST", "/registry/scan", `{"onDemandScan":true,"tag":{"registry":"r.example.com","repo":"other/app","tag":"v1"}}`); a.status != 400 {
		t.Errorf("an image out of scope: %d %s", a.status, a.body)
	}
}

func TestScanOneRegistry(t *testing.T) {
	c := start(t)
	declareTwo(c)
	c.ok("POST", "/registry/scan", `{"settings":{"version":"2","registry":"r.example.com","repository":"team/*"}}`)
	list := c.scans(control.ScanFilter{})
	if len(list) != 1 || list[0].RegistryID != c.specs()[0]["id"] || list[0].Target != nil {
		t.Errorf("scans: %+v", list)
	}
}

func TestScanSelect(t *testing.T) {
	c := start(t)
	declareTwo(c)
	c.ok("POST", "/registry/scan/select", `[{"tag":{"registry":"r.example.com","repo":"team/app","tag":"v1"}},{"tag":{"repo":"library/alpine","tag":"3.20"}}]`)
	if n := len(c.jobs.take()); n != 2 {
		t.Errorf("%d scans", n)
	}
}

func TestStop(t *testing.T) {
	c := start(t)
	c.must(addNative(c))
	declareTwo(c)
	native, _, err := c.control.Registries(t.Context(), control.RegistryFilter{Origin: tidewaiter.OriginNative})
	c.must(err)
	_, err = c.control.StartScan(t.Context(), native[0].ID, control.ScanRequest{Lane: tidewaiter.LaneFresh})
	c.must(err)
	c.ok("POST", "/registry/stop", "")
	if n := len(c.scans(control.ScanFilter{Unfinished: true})); n != 1 {
		t.Errorf("stopping nothing left %d scans, want the other surface's", n)
	}
	c.ok("POST", "/registry/scan", "")
	c.ok("POST", "/registry/stop/"+c.specs()[1]["id"].(string), "")
	if n := len(c.scans(control.ScanFilter{Unfinished: true})); n != 2 {
		t.Errorf("stopping one left %d scans", n)
	}
	if got := c.specs()[1]["scanStatus"]; got != "stopped" {
		t.Errorf("a stopped scan is shown as %v", got)
	}
	c.ok("POST", "/registry/stop", "")
	left := c.scans(control.ScanFilter{Unfinished: true})
	if len(left) != 1 || left[0].RegistryID != native[0].ID {
		t.Errorf("stopping all left %+v", left)
	}
	if a := c.call("POST", "/registry/stop/"+native[0].ID, ""); a.status != 404 {
		t.Errorf("stopped another surface's scan: %d %s", a.status, a.body)
	}
}

func TestStatusIsCompletedOnlyWhileNothingRuns(t *testing.T) {
	c := start(t)
	if got := get[status](c, "/statuses/registry"); !got.Completed || got.Scanning || !got.ScanTime.IsZero() {
		t.Errorf("before any scan: %+v", got)
	}
	declareTwo(c)
	c.ok("POST", "/registry/scan", "")
	if got := get[status](c, "/statuses/registry"); got.Completed || !got.Scanning {
		t.Errorf("while scans run: %+v", got)
	}
	specs := c.specs()
	c.endScan(specs[0]["id"].(string), "")
	if got := get[status](c, "/statuses/registry"); got.Completed {
		t.Errorf("with one left: %+v", got)
	}
	c.clock.forward(time.Minute)
	scan := c.scans(control.ScanFilter{Unfinished: true})[0]
	c.must(c.store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 15 {
			e := tidewaiter.ScanError{Kind: tidewaiter.ErrLimit, Text: "slow down " + string(rune('a'+i)), At: c.clock.Now().Add(time.Duration(i) * time.Second)}
			if err := tx.AddScanError(t.Context(), scan.ID, e); err != nil {
				return err
			}
		}
		return nil
	}))
	c.endScan(specs[1]["id"].(string), "")
	got := get[status](c, "/statuses/registry")
	if !got.Completed || got.Scanning || !got.ScanTime.Equal(c.clock.Now()) {
		t.Errorf("after the scans: %+v", got)
	}
	if len(got.Errors) != 10 || got.Errors[0] != "slow down o" || got.Errors[9] != "slow down f" {
		t.Errorf("errors: %q", got.Errors)
	}
}

func TestProgressOfRegularScans(t *testing.T) {
	c := start(t)
	if a := c.call("GET", "/registry/progress", ""); a.body != "[]" {
		t.Errorf("nothing runs: %s", a.body)
	}
	declareTwo(c)
	c.ok("POST", "/registry/scan", "")
	first := c.specs()[0]["id"].(string)
	c.must(c.store.Update(t.Context(), func(tx *store.Tx) error {
		s, err := tx.UnfinishedScan(t.Context(), first)
		if err != nil {
			return err
		}
		s.State, s.Repositories, s.RepositoriesListed, s.StartedAt = tidewaiter.ScanListing, 4, 2, c.clock.Now()
		return tx.UpdateScan(t.Context(), s)
	}))
	got := get[[]progressOf](c, "/registry/progress")
	if len(got) != 2 || !got[0].IsScanOngoing || got[0].Discovery.Total != 4 || got[0].Discovery.Scanned != 2 {
		t.Fatalf("progress: %+v", got)
	}
	if want := "Step 1/2 discovering tags in registry r.example.com: Discovered tags in 2/4 repositories with 1 Defender"; got[0].Discovery.Title != want {
		t.Errorf("title %q", got[0].Discovery.Title)
	}
	if want := "Step 2/2 scanning images in registry docker.io: Scanned 0/0 images with 1 Defender"; got[1].ImageScan.Title != want {
		t.Errorf("title %q", got[1].ImageScan.Title)
	}
}

func TestProgressOfAnOnDemandScanIsToldToItsEndOnce(t *testing.T) {
	c := start(t)
	declareTwo(c)
	const path = "/registry/progress?onDemand=true&repo=library/alpine&tag=3.20"
	if a := c.call("GET", path, ""); a.body != "[]" {
		t.Errorf("before the scan: %s", a.body)
	}
	c.ok("POST", "/registry/scan", `{"onDemandScan":true,"tag":{"registry":"","repo":"library/alpine","tag":"3.20"}}`)
	got := get[[]progressOf](c, path)
	if len(got) != 1 || !got[0].IsScanOngoing || !strings.HasSuffix(got[0].Discovery.Title, "repository: library/alpine, tag: 3.20") {
		t.Fatalf("while it runs: %+v", got)
	}
	if got := get[status](c, "/statuses/registry"); !got.Completed {
		t.Errorf("an on-demand scan counts as a regular one: %+v", got)
	}
	c.endScan(c.scans(control.ScanFilter{})[0].RegistryID, "")
	if got := get[[]progressOf](c, path); len(got) != 1 || got[0].IsScanOngoing {
		t.Errorf("when it ended: %+v", got)
	}
	if a := c.call("GET", path, ""); a.body != "[]" {
		t.Errorf("once told: %s", a.body)
	}
}

func TestScanSettings(t *testing.T) {
	c := start(t)
	declareTwo(c)
	if got := get[map[string]any](c, "/settings/scan"); got["registryScanPeriodMs"] != 86_400_000.0 {
		t.Errorf("fresh: %v", got)
	}
	c.ok("POST", "/settings/scan", `{"registryScanPeriodMs":7200000,"registryScanRetentionDays":3,"extractArchive":true}`)
	got := get[map[string]any](c, "/settings/scan")
	if got["registryScanPeriodMs"] != 7_200_000.0 || got["registryScanRetentionDays"] != 3.0 || got["extractArchive"] != true || got["vmScanPeriodMs"] != 86_400_000.0 {
		t.Errorf("changed: %v", got)
	}
	c.ok("POST", "/settings/registry?scanLater=true", `{"version":"2","registry":"late.example.com"}`)
	list, _, err := c.control.Registries(t.Context(), control.RegistryFilter{Origin: tidewaiter.OriginPrisma})
	c.must(err)
	for _, r := range list {
		if r.Schedule.Every != 2*time.Hour {
			t.Errorf("%s is scanned every %v", r.URL, r.Schedule.Every)
		}
	}
	c.ok("POST", "/settings/scan", `{"registryScanPeriodMs":0}`)
	list, _, err = c.control.Registries(t.Context(), control.RegistryFilter{Origin: tidewaiter.OriginPrisma})
	c.must(err)
	if list[0].Schedule.Every != 0 {
		t.Errorf("switched off, and still scanned every %v", list[0].Schedule.Every)
	}
}

// TestScanOfOneImageIsNotTheSpecificationsScan: what a specification's status speaks of is the scan of all it covers.
func TestScanOfOneImageIsNotTheSpecificationsScan(t *testing.T) {
	c := start(t)
	declareTwo(c)
	c.ok("POST", "/registry/scan", `{"onDemandScan":true,"tag":{"registry":"r.example.com","repo":"team/app","tag":"v1"}}`)
	if spec := c.specs()[0]; spec["scanStatus"] != "" || spec["lastScanStatus"] != "" {
		t.Errorf("while one image is scanned: %v, last %v", spec["scanStatus"], spec["lastScanStatus"])
	}
	c.endScan(c.specs()[0]["id"].(string), "no such tag")
	if spec := c.specs()[0]; spec["lastScanStatus"] != "" || spec["scanError"] != "" {
		t.Errorf("after it failed: %v, %v", spec["lastScanStatus"], spec["scanError"])
	}
}

// TestRetentionFollowsTheSettings: the days go where the removal looks for them.
func TestRetentionFollowsTheSettings(t *testing.T) {
	c := start(t)
	c.ok("POST", "/settings/scan", `{"registryScanRetentionDays":9}`)
	if days, err := c.control.Setting(t.Context(), control.SettingRetentionDays); err != nil || days != "9" {
		t.Errorf("retention: %q, %v", days, err)
	}
}
