package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/secret"
)

const plain = "s3cr3t-p4ssw0rd"

func TestValueIsNeverPrinted(t *testing.T) {
	v := secret.New(plain)
	type exported struct{ V secret.Value }
	type unexported struct{ v secret.Value }
	type mapped struct{ m map[string]secret.Value }
	things := []any{v, &v, exported{v}, &exported{v}, unexported{v}, &unexported{v}, []secret.Value{v}, map[string]secret.Value{"k": v},
		map[secret.Value]int{v: 1}, mapped{map[string]secret.Value{"k": v}}, fmt.Errorf("with %v", v), []any{v, unexported{v}}}
	for _, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%T%v"} {
			args := []any{thing}
			if verb == "%T%v" {
				args = []any{thing, thing}
			}
			text := fmt.Sprintf(verb, args...)
			if strings.Contains(text, plain) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", plain)) {
				t.Errorf("%s of %T prints it: %s", verb, thing, text)
			}
		}
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
			slog.New(h).Info("x", "thing", thing)
		}
		if strings.Contains(log.String(), plain) {
			t.Errorf("logging %T: %s", thing, log.String())
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if got := fmt.Sprintf(verb, v); got != "***" {
			t.Errorf("%s gives %q", verb, got)
		}
	}
	if got := v.String() + v.GoString() + v.LogValue().String(); got != "*********" {
		t.Errorf("got %q", got)
	}
}

func TestValueIsNeverMarshalled(t *testing.T) {
	v := secret.New(plain)
	got, err := json.Marshal(map[string]any{"a": v, "b": &v, "c": struct{ V secret.Value }{v}, "d": map[secret.Value]int{v: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"***","b":"***","c":{"V":"***"},"d":{"***":1}}`; string(got) != want {
		t.Errorf("got %s", got)
	}
	if got, err = xml.Marshal(struct {
		XMLName struct{} `xml:"x"`
		V       secret.Value
	}{V: v}); err != nil || string(got) != "<x><V>***</V></x>" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestValue(t *testing.T) {
	var read struct{ V secret.Value }
	if err := json.Unmarshal([]byte(`{"V":"`+plain+`"}`), &read); err != nil {
		t.Fatal(err)
	}
	if read.V.Reveal() != plain || read.V.IsZero() {
		t.Error("what was read is not what was sent")
	}
	var zero secret.Value
	if zero.Reveal() != "" || !zero.IsZero() || !zero.Equal(secret.New("")) {
		t.Error("the zero value is not empty")
	}
	if !read.V.Equal(secret.New(plain)) || read.V.Equal(secret.New("other")) || !cmp.Equal(read.V, secret.New(plain)) {
		t.Error("Equal")
	}
}
