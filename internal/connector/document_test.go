package connector_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestLooseTime(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{
		`"2026-01-02T03:04:05Z"`, `"2026-01-02T04:04:05.000+0100"`, `"2026-01-02T03:04:05.000+00:00"`, `1767323045`, `1767323045.000`,
		`"1767323045000"`, `"Fri, 02 Jan 2026 03:04:05 -0000"`, `"Fri, 02 Jan 2026 03:04:05 GMT"`, `"2026-01-02T03:04:05"`,
	} {
		if got := connector.LooseTime(text); !got.Equal(want) {
			t.Errorf("%s is %v", text, got)
		}
	}
	for _, text := range []string{`null`, `""`, `"soon"`, `-5`, `0`, `1e300`, `"NaN"`, `{}`} {
		if got := connector.LooseTime(text); !got.IsZero() {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func FuzzLooseTime(f *testing.F) {
	f.Add(`"2026-01-02T03:04:05Z"`)
	f.Add(`1e99`)
	f.Add(`"Inf"`)
	f.Fuzz(func(t *testing.T, text string) {
		if got := connector.LooseTime(text); got.Year() > 20000 {
			t.Errorf("%q is %v", text, got)
		}
	})
}

func TestAfterHost(t *testing.T) {
	for in, want := range map[string]string{
		"de.icr.io/ns/app:v1": "ns/app", "de.icr.io:5000/ns/app@sha256:ab": "ns/app", "h/a:b": "a", "h:5/a": "a", "nothing": "", "": "",
	} {
		if got := connector.AfterHost(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestJWTExpiry(t *testing.T) {
	if got := connector.JWTExpiry("x.eyJleHAiOjE3NjczMjMwNDV9.y"); got.Unix() != 1767323045 {
		t.Error(got)
	}
	for _, bad := range []string{"", "a.b.c", "a.e30.c", "opaque"} {
		if got := connector.JWTExpiry(bad); !got.IsZero() {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestAWSPartition(t *testing.T) {
	for region, want := range map[string]string{
		"eu-central-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b",
	} {
		if got := connector.AWSPartition(region); got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}

// TestCirclesEnd holds that a listing that goes round in circles of any length is noticed within three rounds.
func TestCirclesEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail, circle := rapid.IntRange(0, 40).Draw(t, "tail"), rapid.IntRange(1, 40).Draw(t, "circle")
		cursor := ""
		for i := range 8 * (tail + circle + 2) {
			at := i
			if i >= tail {
				at = tail + (i-tail)%circle
			}
			next, err := connector.NextPosition(cursor, strings.Repeat("x", at+1))
			if tidewaiter.KindOf(err) == tidewaiter.ErrMalformed {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cursor = next
		}
		t.Fatalf("a circle of %d after %d was not noticed", circle, tail)
	})
}

func TestAQLQuotes(t *testing.T) {
	if q := connector.AQL(`a"b`, "img", 0); strings.Contains(q, `a"b`) {
		t.Error(q)
	}
}
