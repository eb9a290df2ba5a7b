package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestDescribe(t *testing.T) {
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	got, err := m.Describe(t.Context(), []string{"CVE-2024-0001", "CVE-2024-0002", "CVE-1999-9999"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*tidewaiter.Vulnerability{
		"CVE-2024-0001": {
			ID: "CVE-2024-0001", Title: "first", Description: "the first one", Severity: tidewaiter.SeverityHigh,
			Score: 7.5, Vector: "CVSS:3.1/nvd", ScoreV2: 6.4, VectorV2: "AV:N", CWEs: []string{"CWE-787"},
			References: []string{"https://example.com/1"}, Published: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		"CVE-2024-0002": {
			ID: "CVE-2024-0002", Title: "second", Severity: tidewaiter.SeverityMedium, Score: 5.5, Vector: "CVSS:4.0/aqua",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
