package cli

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type emulateCommand struct {
	Kind         string `help:"Which registry to be; see the list above." required:"" placeholder:"KIND"`
	Repositories int    `help:"How many repositories." default:"10"`
	Tags         int    `help:"How many tags in each." default:"10"`
	Listen       string `help:"Address to listen on." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	TLS          bool   `help:"Serve HTTPS with a certificate of our own making." name:"tls"`
	Output       string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
}

// Help lists the kinds.
func (emulateCommand) Help() string {
	out := "Is a registry of some kind until Ctrl-C: its own listing API, its login and real images, generated on the fly. For trying\n" +
		"discovery out without an account. Kinds:"
	var kinds strings.Builder
	for _, k := range emulator.Kinds() {
		kinds.WriteString(" " + string(k))
	}
	return out + kinds.String()
}

// Run serves until it is told to stop.
func (c emulateCommand) Run(ctx context.Context, s streams) error {
	if !slices.Contains(emulator.Kinds(), emulator.Kind(c.Kind)) {
		return tidewaiter.Invalid("kind", "no registry of kind %q can be emulated", c.Kind).WithFix("tidewaiter emulate --help lists the kinds")
	}
	e, err := emulator.New(emulator.Options{Kind: emulator.Kind(c.Kind), Repositories: c.Repositories, Tags: c.Tags, Listen: c.Listen, TLS: c.TLS}) //nolint:contextcheck // it lives until Close
	if err != nil {
		return err
	}
	defer e.Close()
	if c.Output == "json" {
		err := json.NewEncoder(s.out).Encode(map[string]any{"url": e.URL, "endpoints": e.Endpoints(), "login": e.Login()})
		if err != nil {
			return err
		}
	} else {
		c.show(s, e)
	}
	<-ctx.Done()
	sayf(s.err, "%d requests were made.\n", e.Count())
	return nil
}

// show prints where the emulator is and what gets in. Its logins are made up and open nothing else.
func (c emulateCommand) show(s streams, e *emulator.Emulator) {
	sayf(s.out, "A registry of kind %s with %d repositories of %d tags: %s\n", c.Kind, c.Repositories, c.Tags, e.URL)
	endpoints := e.Endpoints()
	for _, key := range slices.Sorted(maps.Keys(endpoints)) {
		sayf(s.out, "  %-16s %s\n", key, endpoints[key])
	}
	login := reflect.ValueOf(e.Login())
	for i := range login.NumField() {
		if v := login.Field(i); v.Kind() == reflect.String && v.String() != "" {
			sayf(s.out, "  %-16s %s\n", login.Type().Field(i).Name, v.String())
		}
	}
}
