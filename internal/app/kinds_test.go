package app_test

import (
	"net/http"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestEveryKindIsJudged declares a registry of each kind, once with a wrong secret and once with the right one, and follows
// it to verdicts, also of a tag that moves later.
func TestEveryKindIsJudged(t *testing.T) {
	t.Parallel()
	for _, kind := range []tidewaiter.RegistryKind{
		tidewaiter.KindOCI, tidewaiter.KindDockerHub, tidewaiter.KindECR, tidewaiter.KindACR, tidewaiter.KindGAR, tidewaiter.KindArtifactory,
		tidewaiter.KindNexus, tidewaiter.KindQuay, tidewaiter.KindHarbor, tidewaiter.KindGitLab, tidewaiter.KindGHCR, tidewaiter.KindOpenShift,
		tidewaiter.KindDTR, tidewaiter.KindIBM, tidewaiter.KindOCIR,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			e := connectortest.Emulate(t, kind, emulator.Options{Repositories: 2, Tags: 3, Indexes: -1, Artifacts: -1})
			s := start(t, app.Config{Endpoints: e.Options.Endpoints, Advisories: []string{"127.0.0.1:1/none:1"}})
			put := func(plain secret.Value) {
				cred := *e.Credential
				if err := s.control.PutCredential(t.Context(), &cred, &plain); err != nil {
					t.Fatal(err)
				}
			}
			put(e.Wrong)
			r := s.declare(t, e.Registry.URL, func(draft *tidewaiter.Registry) {
				draft.Kind, draft.TLS, draft.Settings, draft.CredentialID = kind, e.Registry.TLS, e.Registry.Settings, e.Credential.ID
			})
			if scan := s.finished(t)[r.ID]; scan.State != tidewaiter.ScanFailed || scan.Error == "" {
				t.Errorf("with a wrong secret: %s %q", scan.State, scan.Error)
			}

			put(e.Secret)
			if scan := s.rescan(t, r); scan.State != tidewaiter.ScanCompleted || scan.ImagesDone != 6 || scan.ImagesFailed != 0 {
				t.Errorf("with the right one: %+v", scan)
			}
			rows := s.results(t)
			if len(rows) != 6 {
				t.Errorf("%d rows, want 6", len(rows))
			}
			for name, row := range rows {
				if row.Image == nil || row.Image.Judgement == nil {
					t.Errorf("%s is not judged: %q", name, row.Tag.Error)
				}
			}

			if _, err := e.Emulator.Move(e.Repositories[0], "latest"); err != nil {
				t.Fatal(err)
			}
			if scan := s.rescan(t, r); scan.State != tidewaiter.ScanCompleted || scan.ImagesFailed != 0 || scan.ImagesDone != 6 {
				t.Errorf("after a tag moved: %+v", scan)
			}
			removesNothing(t, s, e, r)
		})
	}
}

// removesNothing cuts the listing short at its first request, at its second, and so on until it comes to its end: whatever
// it had not come to stays.
func removesNothing(t *testing.T, s *server, e *connectortest.Emulated, r *tidewaiter.Registry) {
	t.Helper()
	for _, fault := range []emulator.Fault{{Status: http.StatusOK, Body: "<html>log in"}, {Status: http.StatusForbidden}, {Status: http.StatusNotImplemented}} {
		for ; ; fault.After++ {
			if err := e.Emulator.Inject(fault); err != nil {
				t.Fatal(err)
			}
			scan := s.rescan(t, r)
			e.Emulator.Heal()
			there := 0
			for _, row := range s.results(t) {
				if row.Tag.GoneAt.IsZero() && row.Image != nil {
					there++
				}
			}
			if there != 6 {
				t.Errorf("%+v: %d of 6 images are left after %+v", fault, there, scan)
			}
			if scan.Complete {
				break
			}
			if scan.State != tidewaiter.ScanFailed || scan.Error == "" {
				t.Errorf("%+v: an incomplete listing ended as %s %q", fault, scan.State, scan.Error)
			}
			if fault.After > 60 || t.Failed() {
				t.Fatalf("%+v: the listing has no end: %+v", fault, scan)
			}
		}
		if fault.After == 0 {
			t.Error("the fault met nothing")
		}
	}
}
