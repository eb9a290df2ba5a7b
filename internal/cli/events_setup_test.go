package cli // looks inside: the steps are text that no server is needed for

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/connector"
)

func TestStepsOfEverySender(t *testing.T) {
	const server, path = "https://tidewaiter.example.com", "/tidewaiter/v1/events/reg-1/hush"
	for _, s := range setups() {
		for _, secret := range []bool{false, true} {
			var out strings.Builder
			a := &client.EventAddress{Registry: "reg-1", Kind: "oci", Path: path, Secret: secret, Header: "X-Hush", Audience: "aud", Email: "push@p"}
			if err := instructions(&out, server, a, s.sender); err != nil {
				t.Fatal(err)
			}
			text := out.String()
			if strings.Count(text, server+path) != 2 || strings.Contains(text, "ADDRESS") || strings.Contains(text, "HEADER") || strings.Contains(text, "AUDIENCE") {
				t.Errorf("%s: %s", s.sender, text)
			}
			// Only what cannot be set there needs no word about the secret.
			if refused := strings.Contains(text, "is refused"); refused != (secret && s.proof == "") {
				t.Errorf("%s with a secret %v: %s", s.sender, secret, text)
			}
		}
	}
}

// TestEveryKindHasSteps wants steps for each kind of registry that sends events at all.
func TestEveryKindHasSteps(t *testing.T) {
	for _, k := range connector.Kinds() {
		var out strings.Builder
		if err := instructions(&out, "https://t", &client.EventAddress{Kind: string(k.Kind), Path: "/p"}, ""); err != nil {
			t.Fatal(err)
		}
		if sends := len(k.PushEvents) > 0; sends != strings.Contains(out.String(), "== ") {
			t.Errorf("%s sends %v: %s", k.Kind, k.PushEvents, out.String())
		}
	}
	if err := instructions(&strings.Builder{}, "https://t", &client.EventAddress{Kind: "oci"}, "carrier pigeon"); err == nil || !strings.Contains(err.Error(), "distribution") {
		t.Errorf("an unknown sender: %v", err)
	}
}
