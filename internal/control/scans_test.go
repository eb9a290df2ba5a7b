package control_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestStartScanJoinsTheOneUnderWay(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("a.example", "x", 1))[0]
	one, err := h.StartScan(t.Context(), r.ID, control.ScanRequest{Lane: tidewaiter.LaneFresh})
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.StartScan(t.Context(), r.ID, control.ScanRequest{Lane: tidewaiter.LaneInteractive})
	if err != nil || two.ID != one.ID || len(h.jobs.jobs) != 1 {
		t.Errorf("a second scan of the whole: %v, %v, %d jobs", two, err, len(h.jobs.jobs))
	}
	target := control.ScanRequest{Lane: tidewaiter.LaneInteractive, Target: &tidewaiter.Target{Repository: "x", Tag: "1"}}
	three, err := h.StartScan(t.Context(), r.ID, target)
	if err != nil || three.ID == one.ID || len(h.jobs.jobs) != 2 {
		t.Errorf("a scan of one image beside it: %v, %v, %d jobs", three, err, len(h.jobs.jobs))
	}
	if _, err := h.StartScan(t.Context(), "nobody", control.ScanRequest{}); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("an unknown registry: %v", err)
	}
}

func TestStartTargetTakesTheRegistryThatCoversIt(t *testing.T) {
	h := open(t)
	tagged := draft("a.example", "x", 0)
	tagged.Scope.Select[0].Tags = []string{"v*"}
	rs := h.replace(t, false, draft("a.example", "other", 0), tagged)
	s, err := h.StartTarget(t.Context(), "https://A.example", tidewaiter.Target{Repository: "x", Tag: "v1"}, control.ScanRequest{})
	if err != nil || s.RegistryID != rs[1].ID {
		t.Errorf("%+v, %v", s, err)
	}
	for _, target := range []tidewaiter.Target{{Repository: "x", Tag: "latest"}, {Repository: "y", Tag: "v1"}} {
		if _, err := h.StartTarget(t.Context(), "a.example", target, control.ScanRequest{}); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Errorf("%v: %v", target, err)
		}
	}
}

func TestStopScansClosesThemAll(t *testing.T) {
	h := open(t)
	var drafts []*tidewaiter.Registry
	for i := range 120 { // more than a page
		drafts = append(drafts, draft("a.example", string(rune('a'+i%26))+string(rune('a'+i/26)), 0))
	}
	rs := h.replace(t, true, drafts...)
	if err := h.StopScans(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(h.jobs.canceled) != len(rs) {
		t.Errorf("jobs of %d registries cancelled, want %d", len(h.jobs.canceled), len(rs))
	}
	latest, err := h.LatestScans(t.Context(), ids(rs))
	if err != nil {
		t.Fatal(err)
	}
	for id, l := range latest {
		if l.Current != nil {
			t.Errorf("%s still has %+v", id, l.Current)
		}
	}
	if n, err := h.StartAll(t.Context(), tidewaiter.OriginPrisma, control.ScanRequest{}); err != nil || n != len(rs) {
		t.Errorf("%d started again, %v", n, err)
	}
}

func TestCredentialsAreSealedAndKept(t *testing.T) {
	h := open(t)
	plain := secret.New("hush")
	cred := &tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialBasic, Username: "u"}
	if err := h.PutCredential(control.WithActor(t.Context(), "ann"), cred, &plain); err != nil {
		t.Fatal(err)
	}
	stored, err := h.Credential(t.Context(), "c")
	if err != nil || len(stored.Sealed) == 0 || stored.Owner != "ann" {
		t.Fatalf("%+v, %v", stored, err)
	}
	if err := h.PutCredential(t.Context(), &tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialBasic, Username: "v"}, nil); err != nil {
		t.Fatal(err)
	}
	r := draft("a.example", "x", 0)
	r.CredentialID = "c"
	h.replace(t, false, r)
	if err := h.DeleteCredential(t.Context(), "c"); tidewaiter.KindOf(err) != tidewaiter.ErrConflict {
		t.Errorf("deleting one in use: %v", err)
	}
	h.probes.steps = []oci.Step{{Name: "login", OK: true}}
	if _, err := h.Validate(t.Context(), r, nil); err != nil || h.probes.login.Reveal() != "hush" {
		t.Errorf("the stored secret was not used: %v", err)
	}
	h.probes.steps = []oci.Step{{Name: "resolve", OK: true}, {Name: "login", Kind: tidewaiter.ErrAuth, Error: "refused", Fix: "check the password"}}
	steps, err := h.Validate(t.Context(), r, &control.Login{Secret: secret.New("other")})
	if tidewaiter.KindOf(err) != tidewaiter.ErrAuth || len(steps) != 2 || h.probes.login.Reveal() != "other" {
		t.Errorf("a failed validation: %v, %v", steps, err)
	}
	h.replace(t, false)
	if err := h.DeleteCredential(t.Context(), "c"); err != nil {
		t.Error(err)
	}
	if err := h.DeleteCredential(t.Context(), "c"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("deleting it again: %v", err)
	}
	audits, _, err := h.store.Audits(t.Context(), control.Page{})
	if err != nil || len(audits) < 5 || !cmp.Equal(audits[len(audits)-1].Actor, "ann") {
		t.Errorf("audit log: %v, %v", audits, err)
	}
}
