package tidewaiter_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestLabelsFit(t *testing.T) {
	has := []string{"zone=dmz", "host=Edge-7", "arch=arm64"}
	for wanted, want := range map[string]bool{
		"": true, "zone=dmz": true, "zone=office": false, "zone=office|dmz": true, "host=edge-*": true, "rack=1": false,
		"zone=dmz arch=arm64": true, "zone=dmz arch=amd64": false, "zone=*": true, "zon=dmz": false,
	} {
		if got := tidewaiter.LabelsFit(has, strings.Fields(wanted)); got != want {
			t.Errorf("%q: %v", wanted, got)
		}
	}
}

func TestValidateLabels(t *testing.T) {
	for label, ok := range map[string]bool{
		"zone=dmz": true, "a.b/c=1.2": true, "zone": false, "=x": false, "zone=": false, "zone=a b": false, "zone=*": false, "host=x": false,
		"collection=x": false, "zone=" + strings.Repeat("x", 300): false,
	} {
		if err := tidewaiter.ValidateLabels([]string{label}); (err == nil) != ok {
			t.Errorf("%q: %v", label, err)
		}
	}
	for label, ok := range map[string]bool{"zone=dmz|edge-*": true, "host=*": true, "collection=a|b": true, "zone=a||b": false, "zone": false, "z\x00=x": false} {
		if err := tidewaiter.ValidateWantedLabels([]string{label}); (err == nil) != ok {
			t.Errorf("%q: %v", label, err)
		}
	}
	if tidewaiter.ValidateLabels(make([]string, tidewaiter.MaxLabels+1)) == nil {
		t.Error("any number of labels is accepted")
	}
}
