package oci_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const home = "https://registry.example.com"

// allTags follows a listing to its end.
func allTags(t *testing.T, r *oci.Registry) (tags []string, pages int, err error) {
	t.Helper()
	cursor := ""
	for {
		some, next, err := r.Tags(t.Context(), "app", cursor)
		if err != nil {
			return tags, pages, err
		}
		tags = append(tags, some...)
		if pages++; next == "" {
			return tags, pages, nil
		}
		if pages > 2000 {
			t.Fatal("the listing does not end")
		}
		cursor = next
	}
}

func page(w http.ResponseWriter, link string, tags ...string) {
	if link != "" {
		w.Header().Add("Link", link)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "app", "tags": tags})
}

func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("t%05d", i)
	}
	return out
}

func TestListingFollowsEveryFormOfLink(t *testing.T) {
	for name, link := range map[string]string{
		"relative path":      `</v2/app/tags/list?last=a&n=1>; rel="next"`,
		"relative query":     `<?last=a&n=1>; rel="next"`,
		"absolute":           `<https://registry.example.com/v2/app/tags/list?last=a&n=1>; rel="next"`,
		"wrong scheme":       `<http://registry.example.com/v2/app/tags/list?last=a&n=1>; rel="next"`,
		"wrong port":         `<https://registry.example.com:8081/v2/app/tags/list?last=a&n=1>; rel="next"`,
		"inner host":         `<http://10.0.0.7:5000/v2/app/tags/list?last=a&n=1>; rel="next"`,
		"somebody else":      `<https://evil.example.net/v2/app/tags/list?last=a&n=1>; rel="next"`,
		"wrong path":         `</repository/docker/v2/app/tags/list?last=a&n=1>; rel="next"`,
		"unquoted rel":       `</v2/app/tags/list?last=a&n=1>; rel=next`,
		"several links":      `</first>; rel="first", </v2/app/tags/list?last=a&n=1>; title="a, b"; REL="prev NEXT"`,
		"escapes kept as is": `</v2/app/tags/list?last=a&n=1>;rel="next"`,
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery == "last=a&n=1" {
					page(w, "", "b")
					return
				}
				page(w, link, "a")
			})}}
			tags, _, err := allTags(t, n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", "p4ssw0rd")}))
			if err != nil || !slices.Equal(tags, []string{"a", "b"}) {
				t.Fatalf("tags %v, error %v", tags, err)
			}
			for _, r := range n.requests("") {
				if !strings.HasPrefix(r, "GET https://registry.example.com/v2/") {
					t.Errorf("went astray: %s", r)
				}
			}
		})
	}
}

func TestListingQuirks(t *testing.T) {
	refuse := func(w http.ResponseWriter, status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"no"}]}`, code)
	}
	opaque := "next_page=gAAAA%2Bb%3D%3D&last=%41"
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    []string
		pages   int
	}{
		"n refused": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("n") {
				refuse(w, 400, "PAGINATION_NUMBER_INVALID")
				return
			}
			page(w, "", "a")
		}, []string{"a"}, 1},
		"opaque cursor verbatim": {func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.RawQuery {
			case "n=1000":
				page(w, "</v2/app/tags/list?"+opaque+`>; rel="next"`, "a")
			case opaque:
				page(w, "", "b")
			default:
				refuse(w, 405, "UNSUPPORTED") // as ECR Public to a cursor it did not make
			}
		}, []string{"a", "b"}, 2},
		"null":                            {text(200, `{"name":"app","tags":null}`), nil, 1},
		"duplicates and impossible names": {text(200, `{"tags":["a","a","","b\u0007","c"]}`), []string{"a", "c"}, 1},
		"everything at once although n was given": {func(w http.ResponseWriter, _ *http.Request) { page(w, "", many(2500)...) }, many(2500), 1},
		"full page without link, last understood": {func(w http.ResponseWriter, r *http.Request) {
			all, from := many(2300), 0
			if last := r.URL.Query().Get("last"); last != "" {
				from = slices.Index(all, last) + 1
			}
			page(w, "", all[from:min(from+1000, len(all))]...)
		}, many(2300), 3},
		"full page without link, last refused": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("last") {
				refuse(w, 405, "UNSUPPORTED")
				return
			}
			page(w, "", many(1000)...)
		}, many(1000), 2},
		"full page without link, last ignored": {func(w http.ResponseWriter, _ *http.Request) { page(w, "", many(1000)...) }, many(1000), 2},
		"empty page in the middle": {func(w http.ResponseWriter, r *http.Request) {
			k, _ := strconv.Atoi(r.URL.Query().Get("p"))
			switch k {
			case 2:
				page(w, "", "z")
			default:
				page(w, fmt.Sprintf("<?p=%d>; rel=next", k+1))
			}
		}, []string{"z"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{hosts: map[string]http.Handler{"registry.example.com": c.handler}}
			tags, pages, err := allTags(t, n.registry(t, oci.Endpoint{URL: home}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, tags); diff != "" || pages != c.pages {
				t.Errorf("%d pages, want %d; %s", pages, c.pages, diff)
			}
		})
	}
}

func TestListingThatDoesNotEndWellIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		kind    tidewaiter.ErrorKind
	}{
		"link to itself":  {func(w http.ResponseWriter, _ *http.Request) { page(w, `<?n=1000>; rel="next"`, "a") }, tidewaiter.ErrMalformed},
		"link no query":   {func(w http.ResponseWriter, _ *http.Request) { page(w, `</v2/app/tags/list>; rel="next"`, "a") }, tidewaiter.ErrMalformed},
		"circle of seven": {circle(7), tidewaiter.ErrMalformed},
		"circle of 300":   {circle(300), tidewaiter.ErrMalformed},
		"broken link":     {func(w http.ResponseWriter, _ *http.Request) { page(w, `/v2/app/tags/list?last=a; rel="next"`, "a") }, tidewaiter.ErrMalformed},
		"no tags key":     {text(200, `{"name":"app"}`), tidewaiter.ErrMalformed},
		"login page":      {text(200, "<html>log in</html>"), tidewaiter.ErrMalformed},
		"cut JSON":        {text(200, `{"tags":["a"`), tidewaiter.ErrTransient},
		"not a list":      {text(200, `{"tags":{"a":1}}`), tidewaiter.ErrMalformed},
		"huge":            {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 33<<20)) }, tidewaiter.ErrTooLarge},
		"gone":            {text(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"x"}]}`), tidewaiter.ErrGone},
		"second page 500": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("last") == "a" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			page(w, `<?last=a>; rel="next"`, "a")
		}, tidewaiter.ErrTransient},
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{hosts: map[string]http.Handler{"registry.example.com": c.handler}}
			_, _, err := allTags(t, n.registry(t, oci.Endpoint{URL: home}))
			wantKind(t, err, c.kind)
		})
	}
}

// circle leads through n pages and back to the first of them.
func circle(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		k, _ := strconv.Atoi(r.URL.Query().Get("p"))
		page(w, fmt.Sprintf(`<?p=%d>; rel="next"`, k%n+1), "a")
	}
}

func TestClosedCatalogIsSaid(t *testing.T) {
	for status, kind := range map[int]tidewaiter.ErrorKind{
		401: tidewaiter.ErrDenied, 403: tidewaiter.ErrDenied, 404: tidewaiter.ErrUnsupported, 405: tidewaiter.ErrUnsupported,
	} {
		n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/_catalog" {
				w.WriteHeader(status)
			}
		})}}
		_, _, err := n.registry(t, oci.Endpoint{URL: home}).Repositories(t.Context(), "")
		wantKind(t, err, kind, "name the repositories")
	}
}

func TestRefusedCredentialIsNotAClosedCatalog(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})}}
	_, _, err := n.registry(t, oci.Endpoint{URL: home, Auth: oci.Basic("u", "wrong")}).Repositories(t.Context(), "")
	wantKind(t, err, tidewaiter.ErrAuth, "refused the credential")
	_, _, err = n.registry(t, oci.Endpoint{URL: home}).Repositories(t.Context(), "")
	wantKind(t, err, tidewaiter.ErrAuth, "wants a login")
}

func TestCursorSurvivesStorageAndIsChecked(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{"registry.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("last") == "a b" {
			page(w, "", "c")
			return
		}
		page(w, `<?last=a%20b>; rel="next"`, "a")
	})}}
	_, next, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", "")
	if err != nil {
		t.Fatal(err)
	}
	tags, end, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", next) // another process
	if err != nil || end != "" || !slices.Equal(tags, []string{"c"}) {
		t.Fatalf("%v %q %v", tags, end, err)
	}
	for _, bad := range []string{"x", "1.2.3", "1.0.link.a b", "0.0.link.a", "1.0.other.a", "-1.0.link.a", "1.0.link.a\r\nb", "1.0.link.a#b"} {
		_, _, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", bad)
		wantKind(t, err, tidewaiter.ErrInvalid)
	}
}

func TestPathOfTheRegistryIsKept(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{"host.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("last") {
			_, _ = w.Write([]byte(`{"repositories":["b"]}`))
			return
		}
		w.Header().Set("Link", `</v2/_catalog?last=a>; rel="next"`)
		_, _ = w.Write([]byte(`{"repositories":["a"]}`))
	})}}
	r := n.registry(t, oci.Endpoint{URL: "https://host.example.com/artifactory/api/docker/key/"})
	_, next, err := r.Repositories(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Repositories(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	base := "GET https://host.example.com/artifactory/api/docker/key/v2/_catalog?"
	if diff := cmp.Diff([]string{base + "n=1000", base + "last=a"}, n.requests("")); diff != "" {
		t.Error(diff)
	}
}

func FuzzNextLink(f *testing.F) {
	for _, s := range []string{
		`</v2/_catalog?last=a&n=1>; rel="next"`, `<x>`, `<a>;rel=prev,<b>; rel="x next"`, `<a>;title="\"";rel=next`, `<`, `;`, `<a>;rel="next`, ",,,",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		target, ok, err := oci.NextLink([]string{header})
		if err != nil && ok || !ok && target != "" {
			t.Fatalf("%q %v %v", target, ok, err)
		}
		if !ok {
			return
		}
		query, err := oci.LinkQuery(target)
		if err != nil {
			return
		}
		u := url.URL{Scheme: "https", Host: "registry.example.com", Path: "/v2/_catalog", RawQuery: query}
		back, err := url.Parse(u.String())
		if err != nil || back.Host != u.Host || back.Path != u.Path || back.Fragment != "" {
			t.Fatalf("the query %q escapes: %v", query, u.String())
		}
	})
}
