package emulator

import (
	"net/http"
	"time"
)

// plain is a registry with nothing but the registry API: CNCF distribution 3.
func (e *Emulator) plain() surface {
	g := gate{service: "emulator", name: "emulator", anonymous: e.o.Anonymous}
	if e.o.Plain {
		g.basic = e.basicLogin
	} else {
		g.realm = func(r *http.Request) string { return base(r) + "/token" }
	}
	d := e.distribution(g)
	d.refuseLarge, d.catalogMax, d.tagsMax = true, e.o.MaxPage, 0
	mux := http.NewServeMux()
	// CNCF distribution: tokens without expires_in are taken to last 60 seconds; its own server gives five minutes.
	mux.Handle("/token", tokenService{e: e, service: "emulator", check: e.basicLogin, life: 5 * time.Minute, realm: "emulator"})
	mux.Handle("/v2/", d)
	return surface{registry: mux, endpoints: map[string]string{}}
}
