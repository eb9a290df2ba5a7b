package oci_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

func TestPagesShowHabits(t *testing.T) {
	answer := func(names, link string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if link != "" {
				w.Header().Set("Link", link)
			}
			fmt.Fprintf(w, `{"repositories":[%s]}`, names)
		}
	}
	pages := func(big, small http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("n") == "1" {
				small(w, r)
				return
			}
			big(w, r)
		}
	}
	const two = `"a","b"`
	for name, c := range map[string]struct {
		handler   http.HandlerFunc
		quirks    []string
		continues bool
		largest   int
		status    int
	}{
		"as the rest":    {pages(answer(two, ""), answer(`"a"`, `<https://registry.example.com/v2/_catalog?last=a&n=1>; rel="next"`)), nil, true, 0, 200},
		"relative":       {pages(answer(two, ""), answer(`"a"`, `</v2/_catalog?last=a&n=1>; rel="next"`)), []string{oci.QuirkLinkRelative}, true, 0, 200},
		"elsewhere":      {pages(answer(two, ""), answer(`"a"`, `<http://evil.example/v2/_catalog?last=a&n=1>; rel="next"`)), []string{oci.QuirkLinkElse}, true, 0, 200},
		"opaque":         {pages(answer(two, ""), answer(`"a"`, `</v2/_catalog?next_page=x&n=1>; rel="next"`)), []string{oci.QuirkLinkRelative, oci.QuirkOpaque}, true, 0, 200},
		"no link":        {pages(answer(two, ""), answer(`"a"`, "")), []string{oci.QuirkLinkMissing}, false, 0, 200},
		"broken link":    {pages(answer(two, ""), answer(`"a"`, "next page")), []string{oci.QuirkLinkBroken}, false, 0, 200},
		"size ignored":   {answer(two, ""), []string{oci.QuirkSizeIgnored}, false, 0, 200},
		"forbidden":      {text(403, ""), nil, false, 0, 403},
		"nothing in it":  {answer("", ""), nil, false, 0, 200},
		"no list at all": {text(200, "<html>"), nil, false, 0, 200},
		"size refused": {func(w http.ResponseWriter, r *http.Request) {
			if n := r.URL.Query().Get("n"); n == "1000" || n == "500" || n == "200" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			pages(answer(two, ""), answer(`"a"`, ""))(w, r)
		}, []string{oci.QuirkSizeRefused, oci.QuirkLinkMissing}, false, 100, 400},
	} {
		n := &network{hosts: map[string]http.Handler{"registry.example.com": c.handler}}
		got, err := n.registry(t, oci.Endpoint{URL: home}).Pages(t.Context(), "")
		if err != nil || !slices.Equal(got.Quirks, c.quirks) || got.Continues != c.continues || got.Largest != c.largest || got.Status != c.status {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
