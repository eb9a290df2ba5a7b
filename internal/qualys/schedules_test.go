package qualys_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestScheduleOnDemand(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	c.clock.forward(time.Minute)
	c.jobs.take()
	body := `{"name":"now","onDemand":true,"filters":[{"days":7,"repoTags":[{"repo":"team/app","tag":"1.2, 1.3"},{"repo":"team/api","tag":".*"},{"repo":"team/web","tag":null}]}],
		"schedule":"00:00","forceScan":true,"registryType":"AWS"}`
	made := want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule", body)
	if made["scheduleId"] == "" || made["scheduleId"] != made["scheduleUuid"] {
		t.Fatalf("%v", made)
	}
	scan, err := c.control.Scan(t.Context(), made["scheduleId"])
	c.must(err)
	if diff := cmp.Diff([]tidewaiter.Selector{{Repository: "team/app", Tags: []string{"1.2", "1.3"}}, {Repository: "team/api"}, {Repository: "team/web"}}, scan.Scope.Select); diff != "" ||
		!scan.Force || !scan.OnDemand || scan.Scope.MaxAgeDays != 7 || scan.Lane != tidewaiter.LaneInteractive || len(c.jobs.take()) != 1 {
		t.Errorf("%+v %s", scan, diff)
	}
	list := get[struct {
		Data []map[string]any
	}](c, "/registry/"+id+"/schedule").Data
	if len(list) != 2 || list[0]["scheduleUuid"] != made["scheduleId"] || list[0]["status"] != "Queued" || list[0]["name"] != "now" || list[1]["status"] != "Finished" {
		t.Fatalf("%v", list)
	}
	if filters, err := json.Marshal(list[0]["filters"]); err != nil || string(filters) != `[{"days":7,"repoTags":[{"repo":"team/app","tag":"1.2,1.3"},{"repo":"team/api","tag":null},{"repo":"team/web","tag":null}]}]` {
		t.Errorf("%s", filters)
	}
	if a := c.call("GET", "/registry/"+id+"/schedule?filter=status:Running", ""); a.status != 204 {
		t.Errorf("%+v", a)
	}
	want[map[string]any](c, 404, "POST", "/registry/none/schedule", `{}`)
}

func TestCancel(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	one := func() string {
		c.clock.forward(time.Minute)
		return want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule", `{"filters":[{"repoTags":[{"repo":"a"}]}]}`)["scheduleId"]
	}
	first, second, third := one(), one(), one()
	state := func(id string) tidewaiter.ScanState {
		s, err := c.control.Scan(t.Context(), id)
		c.must(err)
		return s.State
	}
	want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule/"+first+"/cancel", "")
	if state(first) != tidewaiter.ScanCanceled || state(second) != tidewaiter.ScanQueued || len(c.jobs.canceled) != 0 {
		t.Errorf("%s %s %v", state(first), state(second), c.jobs.canceled)
	}
	want[map[string]any](c, 409, "POST", "/registry/"+id+"/schedule/"+first+"/cancel", "")
	want[map[string]any](c, 404, "POST", "/registry/other/schedule/"+second+"/cancel", "")
	want[map[string]any](c, 400, "POST", "/registry/"+id+"/schedule/cancel", "")
	if job := want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule/cancel?scheduleIds="+second+"&filter=scheduleUuid:*", "{}"); job["CancelJobId"] == "" || state(second) != tidewaiter.ScanCanceled || state(third) != tidewaiter.ScanQueued {
		t.Errorf("%v %s %s", job, state(second), state(third))
	}
	want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule/cancel?filter=status%3AQueued", "")
	if state(third) != tidewaiter.ScanCanceled || len(c.jobs.canceled) != 1 {
		t.Errorf("%s %v: the last one's jobs go as well", state(third), c.jobs.canceled)
	}
}

type shownSchedule struct {
	ScheduleUUID, Name, Status, Schedule, WeekDay string
	OnDemand, ForceScan                           bool
	Interval                                      int `json:"scheduleScanIntervalInDays"`
	NextScanDate, JobStartDate                    string
	Filters                                       []map[string]any
	Errors                                        []map[string]any
}

type refused struct{ Message string }

// schedulesOf lists the schedules of a registry by name.
func (c *console) schedulesOf(id string) map[string]shownSchedule {
	c.Helper()
	out := map[string]shownSchedule{}
	for _, s := range get[struct{ Data []shownSchedule }](c, "/registry/"+id+"/schedule").Data {
		out[s.Name] = s
	}
	return out
}

// due starts what is due and returns the newest scan of a registry.
func (c *console) due(id string) *tidewaiter.Scan {
	c.Helper()
	_, err := c.control.StartDue(c.Context())
	c.must(err)
	scans, _, err := c.control.Scans(c.Context(), control.ScanFilter{RegistryIDs: []string{id}})
	c.must(err)
	return scans[0]
}

// TestScheduleAutomatic follows an automatic schedule through its life.
func TestScheduleAutomatic(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	path := "/registry/" + id + "/schedule"
	made := want[map[string]string](c, 200, "POST", path, `{"name":"nightly","onDemand":false,"filters":[{"days":null,"repoTags":[{"repo":"team/app","tag":"1.2,1.3"}]}],
		"schedule":"19:30","scheduleScanIntervalInDays":7,"weekDay":"MONDAY","forceScan":true,"registryType":"AWS"}`)["scheduleId"]
	status := func(want string) shownSchedule {
		t.Helper()
		s := c.schedulesOf(id)["nightly"]
		if s.Status != want {
			t.Errorf("status %s, want %s", s.Status, want)
		}
		return s
	}
	next := time.Date(2026, 11, 23, 19, 30, 0, 0, time.UTC) // a Monday
	expected := shownSchedule{ScheduleUUID: made, Name: "nightly", Status: "Created", Schedule: "19:30", WeekDay: "MONDAY", ForceScan: true, Interval: 7,
		NextScanDate: millisOf(next), Filters: []map[string]any{{"days": nil, "repoTags": []any{map[string]any{"repo": "team/app", "tag": "1.2,1.3"}}}}, Errors: []map[string]any{}}
	if diff := cmp.Diff(expected, status("Created")); diff != "" {
		t.Error(diff)
	}
	if list := get[map[string]any](c, "/registry/"+id)["scheduleStatusList"]; !cmp.Equal(list, map[string]any{"Finished": 1.0, "Created": 1.0}) {
		t.Errorf("%v", list)
	}
	c.clock.forward(next.Sub(c.clock.Now()))
	scan := c.due(id)
	if scan.ScheduleID != made || scan.Name != "nightly" || !scan.Force || !scan.Partial || scan.Scope.Select[0].Repository != "team/app" {
		t.Errorf("%+v", scan)
	}
	status("Queued")
	c.setScan(id, tidewaiter.ScanListing)
	status("Running")
	for _, method := range []string{"PUT", "DELETE"} {
		if a := want[refused](c, 409, method, path+"/"+made, `{}`); !strings.Contains(a.Message, "running") {
			t.Errorf("%s: %v", method, a)
		}
	}
	want[map[string]any](c, 409, "DELETE", "/registry/"+id, "")
	c.endScan(id, "the registry refused")
	if s := status("Error"); len(s.Errors) != 1 || s.Errors[0]["errorMessage"] != "the registry refused" {
		t.Errorf("%+v", s)
	}
	c.clock.forward(7 * 24 * time.Hour)
	c.due(id)
	c.endScan(id, "")
	status("Completed")
	if n := len(c.schedulesOf(id)); n != 2 {
		t.Errorf("%d schedules: the scans of a schedule are not schedules", n)
	}
	want[map[string]string](c, 200, "POST", path+"/"+made+"/cancel", "{}")
	if s := status("Canceled"); s.NextScanDate != "" {
		t.Errorf("%+v", s)
	}
	want[refused](c, 409, "POST", path+"/"+made+"/cancel", "")
	if got := want[map[string]string](c, 200, "DELETE", path+"/"+made, ""); got["scheduleId"] != made {
		t.Errorf("%v", got)
	}
	want[refused](c, 404, "DELETE", path+"/"+made, "")
}

func millisOf(t time.Time) string { b, _ := json.Marshal(t.UnixMilli()); return string(b) }

func TestScheduleUpdate(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	path := "/registry/" + id + "/schedule"
	const filters = `"filters":[{"days":7,"repoTags":[{"repo":"a","tag":"1"}]}]`
	made := want[map[string]string](c, 200, "POST", "/csapi/v1.1"+path, `{"name":"n","onDemand":false,"schedule":"9:05",`+filters+`}`)["scheduleUuid"]
	for _, step := range []struct {
		body   string
		status int
		field  string
	}{
		{`{"scheduleScanIntervalInDays":3}`, 200, ""},
		{`{"weekDay":"MONDAY"}`, 400, "weekDay"},
		{`{"name":"m","onDemand":false,"scheduleScanIntervalInDays":7,"weekDay":"sunday","schedule":"23:59","forceScan":true,` + filters + `}`, 200, ""},
		{`{"onDemand":true}`, 400, "onDemand"},
		{`{"filters":[{"days":7,"repoTags":[{"repo":"b","tag":"1"}]}]}`, 400, "filters.repoTags"},
		{`{"filters":[{"days":7,"repoTags":[{"repo":"a","tag":"2"}]}]}`, 400, "filters.repoTags"},
		{`{"filters":[{"days":1,"repoTags":[{"repo":"a","tag":"1"}]}]}`, 400, "filters.days"},
		{`{"schedule":"24:00"}`, 400, "schedule"},
	} {
		a := want[refused](c, step.status, "PUT", path+"/"+made, step.body)
		if !strings.HasPrefix(a.Message, step.field) {
			t.Errorf("%s: %v", step.body, a)
		}
	}
	if s := c.schedulesOf(id)["m"]; s.Interval != 7 || s.WeekDay != "SUNDAY" || s.Schedule != "23:59" || !s.ForceScan || s.NextScanDate != millisOf(time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC)) {
		t.Errorf("%+v", s)
	}
	once := want[map[string]string](c, 200, "POST", path, `{"name":"once"}`)["scheduleId"]
	want[map[string]any](c, 409, "PUT", path+"/"+once, `{"name":"twice"}`)
	want[map[string]any](c, 404, "PUT", path+"/nobody", `{}`)
}

// TestScheduleBulk deletes and cancels by ids and by filters, and never everything by accident.
func TestScheduleBulk(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	path := "/registry/" + id + "/schedule"
	add := func(name string) string {
		c.clock.forward(time.Minute)
		return want[map[string]string](c, 200, "POST", path, `{"name":"`+name+`","onDemand":false,"schedule":"10:00"}`)["scheduleId"]
	}
	one, two := add("one"), add("two")
	add("three")
	waiting := want[map[string]string](c, 200, "POST", path, `{"name":"waiting","filters":[{"repoTags":[{"repo":"a"}]}]}`)["scheduleId"]
	names := func(expected ...string) {
		t.Helper()
		got := map[string]bool{}
		for name := range c.schedulesOf(id) {
			got[strings.Fields(name)[0]] = true
		}
		want := map[string]bool{}
		for _, name := range expected {
			want[name] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, nothing := range []string{"", "{}", "[]", `{"scheduleIds":[]}`, `{"scheduleIds":null,"filter":" "}`} {
		want[map[string]any](c, 400, "DELETE", path, nothing)
		want[map[string]any](c, 400, "DELETE", path+"/bulk", nothing)
		want[map[string]any](c, 400, "POST", path+"/cancel", nothing)
	}
	names("Scan", "one", "two", "three", "waiting")
	if job := want[map[string]string](c, 200, "DELETE", "/csapi/v1.1"+path+"/", `["`+one+`","`+waiting+`","nobody"]`); job["deletionJobId"] == "" {
		t.Errorf("%v", job)
	}
	names("Scan", "two", "three", "waiting") // what waits is passed over
	want[map[string]string](c, 200, "POST", path+"/cancel?filter=name:three", "")
	if s := c.schedulesOf(id); s["three"].Status != "Canceled" || s["two"].Status != "Created" || s["waiting"].Status != "Queued" {
		t.Errorf("%v", s)
	}
	want[map[string]string](c, 200, "DELETE", path+"/bulk?scheduleIds="+two+"&filter=scheduleUuid:*", "")
	names("Scan", "three", "waiting")
	want[map[string]string](c, 200, "DELETE", path+"/bulk?filter=status%3ACanceled", "")
	names("Scan", "waiting")
	want[map[string]string](c, 200, "POST", path+"/cancel?scheduleIds="+waiting, "")
	want[map[string]string](c, 200, "DELETE", path+"/bulk?filter=scheduleUuid:*", "")
	names()
	if _, err := c.control.Scan(t.Context(), waiting); err != nil {
		t.Errorf("the scan itself stays: %v", err)
	}
}

// TestScheduleOfArtifactRegistry names repositories as the document does: without project and registry. Qualys: "Registry Scan
// Settings: repo: test, tag: 1t".
func TestScheduleOfArtifactRegistry(t *testing.T) {
	c := start(t)
	c.gcpConnector("/registry/gcp/connector", "ccc", account("1131360358474747331", "qualys-cs"))
	id := c.create(sampleGCAR)
	scan := want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule", `{"filters":[{"repoTags":[{"repo":"test","tag":"1t"}]}]}`)["scheduleId"]
	s, err := c.control.Scan(t.Context(), scan)
	c.must(err)
	if diff := cmp.Diff([]tidewaiter.Selector{{Repository: "qualys-cs/cstest/test", Tags: []string{"1t"}}}, s.Scope.Select); diff != "" {
		t.Error(diff)
	}
}
