package connector_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestGitLabProjectsAndExcludedGroups covers what the emulator does not serve: a token's own projects, over pages, one with
// its registry switched off, and groups that are left out.
func TestGitLabProjectsAndExcludedGroups(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v4/groups/9", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"full_path":"Old/Stuff"}`) })
	mux.HandleFunc("GET /api/v4/projects", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("id_after") == "" {
			w.Header().Set("Link", `<http://gitlab.invalid/api/v4/projects?id_after=2&membership=true>; rel="next"`)
			fmt.Fprint(w, `[{"id":1},{"id":2,"container_registry_access_level":"disabled"}]`)
			return
		}
		fmt.Fprint(w, `[{"id":3},{"id":4}]`)
	})
	mux.HandleFunc("GET /api/v4/projects/{id}/registry/repositories", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("id") + r.URL.Query().Get("page") {
		case "1":
			w.Header().Set("X-Next-Page", "2")
			fmt.Fprint(w, `[{"path":"team/a"},{"path":"old/stuff/b"}]`)
		case "12":
			fmt.Fprint(w, `[{"path":"team/a/sub"}]`)
		case "3":
			http.Error(w, `{"message":"403 Forbidden"}`, http.StatusForbidden)
		case "4":
			fmt.Fprint(w, `[{"path":"old/stuffing"}]`)
		default:
			t.Errorf("unexpected %s", r.URL)
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Private-Token") != "glpat" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := connector.NewWithOptions(oci.New(oci.Options{AllowLoopback: true}), nil, nil, connector.Options{})
	source, err := c.Connect(
		&tidewaiter.Registry{Kind: tidewaiter.KindGitLab, URL: "http://registry.gitlab.example.com", Settings: map[string]string{"apiDomainName": server.URL, "excludedGroupIDs": "9"}},
		&tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialGitLab}, secret.New("glpat"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for cursor := ""; ; {
		some, next, err := source.Repositories(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, some...)
		if cursor = next; next == "" {
			break
		}
	}
	if want := []string{"team/a", "team/a/sub", "old/stuffing"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
