package tidewaiter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestPublicationSettings(t *testing.T) {
	for _, c := range []struct {
		sbom, report string
		want         []tidewaiter.PublicationKind
		field        string
	}{
		{"", "", nil, ""},
		{"cyclonedx", "", []tidewaiter.PublicationKind{tidewaiter.PublishCycloneDX}, ""},
		{" SPDX ", "json", []tidewaiter.PublicationKind{tidewaiter.PublishSPDX, tidewaiter.PublishJSON}, ""},
		{"", "sarif", []tidewaiter.PublicationKind{tidewaiter.PublishSARIF}, ""},
		{"true", "", nil, "settings.publishSBOM"},
		{"sarif", "", nil, "settings.publishSBOM"},
		{"spdx", "cyclonedx", nil, "settings.publishReport"},
	} {
		r := &tidewaiter.Registry{Settings: map[string]string{tidewaiter.SettingPublishSBOM: c.sbom, tidewaiter.SettingPublishReport: c.report}}
		got, err := r.Publications()
		field := ""
		if e, ok := err.(*tidewaiter.Error); ok { //nolint:errorlint // as it is returned
			if field = e.Field; e.Fix == "" || e.Kind != tidewaiter.ErrInvalid {
				t.Errorf("%+v: %+v", c, e)
			}
		}
		if !slices.Equal(got, c.want) || field != c.field {
			t.Errorf("%+v: got %v, %v", c, got, err)
		}
	}
}

func TestPublicationIsGivenUpInTheEnd(t *testing.T) {
	now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	cut := tidewaiter.Errorf(tidewaiter.ErrTransient, "cut")
	p := tidewaiter.Publication{Digest: "sha256:old", PushedAt: now}
	p.Failed(cut, now)
	if p.RetryAt != now.Add(time.Minute) || p.Attempts != 1 || p.Error != "cut" || p.Digest != "sha256:old" {
		t.Errorf("%+v", p)
	}
	tries := 1
	for before := p.RetryAt; !p.RetryAt.IsZero(); tries++ {
		p.Failed(cut, p.RetryAt)
		if !p.RetryAt.IsZero() && !p.RetryAt.After(before) {
			t.Errorf("again at %s after %s", p.RetryAt, before)
		}
		before = p.RetryAt
	}
	if tries != 6 {
		t.Errorf("tried %d times", tries)
	}
	p.Succeeded("sha256:new", now.Add(time.Hour))
	if p.Error != "" || p.ErrorKind != "" || p.Attempts != 0 || p.Digest != "sha256:new" || p.PushedAt != now.Add(time.Hour) {
		t.Errorf("%+v", p)
	}
	p.Failed(tidewaiter.Errorf(tidewaiter.ErrDenied, "no"), now)
	if p.RetryAt != now.Add(6*time.Hour) {
		t.Errorf("%+v", p)
	}
}
