package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestCredentialsAreReplacedWhileScanning replaces the secret of a registry of each kind twice in one scan, while it is
// listed and while images are pulled: the registry refuses the old one at once, and ours is told of the new one only when
// the refusal has been met. No image may fail for it.
func TestCredentialsAreReplacedWhileScanning(t *testing.T) {
	t.Parallel()
	for _, can := range connector.Kinds() {
		t.Run(string(can.Kind), func(t *testing.T) {
			t.Parallel() // most of it is waiting
			replacedWhileScanning(t, can.Kind)
		})
	}
}

func replacedWhileScanning(t *testing.T, kind tidewaiter.RegistryKind) {
	const repositories, tags = 6, 4
	e := connectortest.Emulate(t, kind, emulator.Options{Repositories: repositories, Tags: tags, Indexes: -1, Artifacts: -1})
	s := start(t, app.Config{Endpoints: e.Options.Endpoints, Advisories: []string{"127.0.0.1:1/none:1"}, Workers: 2})
	put := func() { // what the registry lets in at present
		t.Helper()
		_, cred, plain := connectortest.Declared(kind, e.Emulator)
		if err := s.control.PutCredential(t.Context(), cred, &plain); err != nil {
			t.Fatal(err)
		}
	}
	put()
	if err := e.Emulator.Inject(emulator.Fault{Delay: 150 * time.Millisecond}); err != nil { // so that there is a middle
		t.Fatal(err)
	}
	r := s.declare(t, e.Registry.URL, func(draft *tidewaiter.Registry) {
		draft.Kind, draft.TLS, draft.Settings, draft.CredentialID = kind, e.Registry.TLS, e.Registry.Settings, e.Credential.ID
	})
	scan := func() *tidewaiter.Scan {
		t.Helper()
		all, _, err := s.control.Scans(t.Context(), control.ScanFilter{Page: control.Page{Limit: 1}})
		if err != nil || len(all) != 1 {
			t.Fatalf("%d scans, %v", len(all), err)
		}
		return all[0]
	}
	replace := func(when string, now func(*tidewaiter.Scan) bool) {
		t.Helper()
		eventually(t, when, func() bool { return now(scan()) || scan().State.Done() })
		if scan().State.Done() {
			t.Fatalf("%s: it is over: %+v", when, scan())
		}
		before := refusedSoFar(t, e.Emulator)
		if _, err := e.Emulator.Rotate(); err != nil {
			t.Fatal(err)
		}
		e.Emulator.ExpireTokens()
		eventually(t, "the registry refuses the old secret", func() bool { return refusedSoFar(t, e.Emulator) > before || scan().State.Done() })
		put()
	}
	replace("listing", func(s *tidewaiter.Scan) bool { return s.Repositories > 0 })
	replace("pulling", func(*tidewaiter.Scan) bool {
		got, err := e.Emulator.Requests(`GET .*/blobs/`)
		return err == nil && len(got) > 2
	})
	if end := s.finished(t)[r.ID]; end.State != tidewaiter.ScanCompleted || end.ImagesFailed != 0 || end.ImagesDone != repositories*tags || len(end.Errors) > 0 {
		t.Errorf("%+v", end)
	}
	for name, row := range s.results(t) {
		if row.Image == nil || row.Image.Judgement == nil || row.Tag.Error != "" {
			t.Errorf("%s: %q", name, row.Tag.Error)
		}
	}
}

// refusedSoFar counts the requests of those who were not let in.
func refusedSoFar(t *testing.T, e *emulator.Emulator) (n int) {
	t.Helper()
	all, err := e.Requests("")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if (r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden || r.Status == http.StatusBadRequest) && r.Scheme != "" {
			n++
		}
	}
	return n
}
