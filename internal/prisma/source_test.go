package prisma_test

// The statements of the page "Update Registry Settings", each under its own words; what this API was made from.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// exampleBody is the body of the page's curl example.
const exampleBody = `{
"specifications": [
{
"version": "2",
"registry": "",
"repository": "library/ubuntu",
"tag": "18.04",
"os": "linux",
"cap": 5,
"credentialID": "<CREDENTIAL_ID1>",
"scanners": 2,
"collections": ["All"]
},
{
"version": "aws",
"registry": "<ACCOUNT_ID>.dkr.ecr.<REGION>.amazonaws.com",
"os": "linux",
"credentialID": "<CREDENTIAL_ID2>",
"scanners": 2,
"cap": 5,
"collections": ["All"]
}
]
}`

// example is that body with something in place of what is in angle brackets, and the credentials it names.
func example(c *console) string {
	c.Helper()
	c.ok("POST", "/credentials", `{"_id":"hub","type":"basic","accountID":"u","secret":{"plain":"p"}}`)
	c.ok("POST", "/credentials", `{"_id":"cloud","type":"aws","accountID":"k","secret":{"plain":"p"}}`)
	return strings.NewReplacer("<CREDENTIAL_ID1>", "hub", "<CREDENTIAL_ID2>", "cloud", "<ACCOUNT_ID>", "123456789012", "<REGION>", "eu-west-1").
		Replace(exampleBody)
}

func (c *console) declaredRegistries() []*tidewaiter.Registry {
	c.Helper()
	rs, _, err := c.control.Registries(c.Context(), control.RegistryFilter{Origin: tidewaiter.OriginPrisma, Page: control.Page{Limit: store.MaxLimit}})
	c.must(err)
	return rs
}

func TestSource(t *testing.T) {
	t.Run("the list of registries to scan is updated in a single shot", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		before := c.call("GET", "/settings/registry", "").body
		bad := strings.Replace(example(c), `"version": "aws"`, `"version": "floppy"`, 1)
		a := c.call("PUT", "/settings/registry", strings.Replace(bad, "18.04", "20.04", 1))
		if a.status != 400 || !strings.Contains(a.body, "specifications[1].version") {
			t.Errorf("one bad entry: %d %s", a.status, a.body)
		}
		if after := c.call("GET", "/settings/registry", "").body; after != before {
			t.Errorf("half of the list was stored: %s", after)
		}
	})
	t.Run("a maximum of 19,999 registry entries, HTTP 400 if the number exceeds the limit", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		list := strings.Repeat(`{"version":"2"},`, control.MaxRegistries) + `{"version":"2"}`
		if a := c.call("PUT", "/settings/registry", `{"specifications":[`+list+`]}`); a.status != 400 {
			t.Errorf("20,000: %d", a.status)
		}
		if n := len(c.declaredRegistries()); n != 2 {
			t.Errorf("%d registries are left of 2", n)
		}
	})
	t.Run("PUT will first erase all the existing entries and then insert the new array", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		c.ok("PUT", "/settings/registry", `{"specifications":[{"version":"2","registry":"new.example.com"}]}`)
		if specs := c.specs(); len(specs) != 1 || specs[0]["registry"] != "new.example.com" {
			t.Errorf("left: %v", specs)
		}
	})
	t.Run("an empty body will also erase all the existing entries", func(t *testing.T) {
		c := start(t)
		for _, body := range []string{"", "{}", `{"specifications":[]}`} {
			c.ok("PUT", "/settings/registry", example(c))
			c.ok("PUT", "/settings/registry", body)
			if n := len(c.declaredRegistries()); n != 0 {
				t.Errorf("%q left %d", body, n)
			}
		}
	})
	t.Run("send a GET and save the JSON response before sending a PUT", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry?scanLater=true", example(c))
		saved := c.call("GET", "/settings/registry", "").body
		c.ok("PUT", "/settings/registry?scanLater=true", "")
		c.ok("PUT", "/settings/registry?scanLater=true", saved)
		var want, got struct{ Specifications []map[string]any }
		c.must(json.Unmarshal([]byte(saved), &want))
		c.must(json.Unmarshal([]byte(c.call("GET", "/settings/registry", "").body), &got))
		for i, spec := range want.Specifications {
			for _, name := range []string{"version", "registry", "repository", "tag", "os", "cap", "credentialID", "scanners", "collections"} {
				if fmt.Sprint(spec[name]) != fmt.Sprint(got.Specifications[i][name]) {
					t.Errorf("specification %d: %s was %v and is %v", i, name, spec[name], got.Specifications[i][name])
				}
			}
		}
	})
	t.Run("version may be one of the following strings", func(t *testing.T) {
		c := start(t)
		for _, version := range []string{"aws", "azure", "2", "dtr", "gcr", "jfrog", "sonatype", "coreos", "redhat", "bluemix"} {
			c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"`+version+`","registry":"https://r.example.com"}]}`)
			if got := c.specs()[0]["version"]; got != version {
				t.Errorf("%s came back as %v", version, got)
			}
		}
	})
	t.Run("an empty string in registry implicitly refers to Docker Hub", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		if r := c.declaredRegistries()[0]; r.Kind != tidewaiter.KindDockerHub || r.URL != tidewaiter.DockerHubURL {
			t.Errorf("%s at %s", r.Kind, r.URL)
		}
	})
	t.Run("use the library namespace to specify a Docker official image", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		scope := c.declaredRegistries()[0].Scope
		if names, ok := scope.Named(); !ok || !slices.Equal(names, []string{"library/ubuntu"}) || scope.Tags("library/ubuntu", []tidewaiter.ListedTag{{Name: "18.04"}}, c.clock.Now())[0].Reason != tidewaiter.ReasonSelected {
			t.Errorf("scope: %+v", scope)
		}
	})
	t.Run("the recommended minimum required fields are version, registry and credentialID", func(t *testing.T) {
		c := start(t)
		example(c)
		c.ok("PUT", "/settings/registry", `{"specifications":[{"version":"2","registry":"r.example.com","credentialID":"hub"}]}`)
		if r := c.declaredRegistries()[0]; r.CredentialID != "hub" || len(r.Scope.Select) != 0 || r.Scope.Newest != 0 {
			t.Errorf("declared as %+v", r)
		}
	})
	t.Run("all repositories in a private AWS ECR registry", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		r := c.declaredRegistries()[1]
		if r.Kind != tidewaiter.KindECR || r.CredentialID != "cloud" || !r.Scope.Repository("any/thing").Included || r.Scope.Newest != 5 {
			t.Errorf("declared as %+v", r)
		}
	})
	t.Run("no response will be returned upon successful execution", func(t *testing.T) {
		c := start(t)
		if a := c.call("PUT", "/api/v32.07/settings/registry", example(c)); a.status != http.StatusOK || a.body != "" {
			t.Errorf("%d %q", a.status, a.body)
		}
	})
	t.Run("remove the entry from the array in the response and submit the updated object", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry", example(c))
		var settings map[string]any
		c.must(json.Unmarshal([]byte(c.call("GET", "/settings/registry", "").body), &settings))
		kept := settings["specifications"].([]any)[1].(map[string]any)
		settings["specifications"] = []any{kept}
		b, err := json.Marshal(settings)
		c.must(err)
		c.jobs.take()
		c.ok("PUT", "/settings/registry", string(b))
		if specs := c.specs(); len(specs) != 1 || specs[0]["id"] != kept["id"] || specs[0]["version"] != "aws" {
			t.Errorf("left: %v", specs)
		}
		if jobs := c.jobs.take(); len(jobs) != 0 {
			t.Errorf("what stayed the same is scanned again: %+v", jobs)
		}
	})
	t.Run("scanLater indicates to save the setting without starting a scan", func(t *testing.T) {
		c := start(t)
		c.ok("PUT", "/settings/registry?scanLater=true", example(c))
		if jobs := c.jobs.take(); len(jobs) != 0 {
			t.Errorf("with scanLater %d jobs", len(jobs))
		}
		c.ok("PUT", "/settings/registry", "")
		c.ok("PUT", "/settings/registry?scanLater=false", example(c))
		if jobs := c.jobs.take(); len(jobs) != 2 {
			t.Errorf("without it %d jobs", len(jobs))
		}
	})
}

// TestTwoWritersLeaveOneOfTheirLists has two clients replace the list at the same moment, again and again.
func TestTwoWritersLeaveOneOfTheirLists(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return t.TempDir() + "/test.db" }, "postgres": func(t *testing.T) string { return testkit.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := startOn(t, database(t))
			list := func(writer string, n int) string {
				var specs []string
				for i := range n {
					specs = append(specs, fmt.Sprintf(`{"version":"2","registry":"%s.example.com","repository":"r%d"}`, writer, i))
				}
				return `{"specifications":[` + strings.Join(specs, ",") + `]}`
			}
			lists := map[string]int{"one": 30, "two": 20}
			const rounds = 10
			for range rounds {
				var writers sync.WaitGroup
				for writer, n := range lists {
					writers.Go(func() {
						if a := c.call("PUT", "/settings/registry", list(writer, n)); a.status != http.StatusOK || a.body != "" {
							t.Errorf("%s: %d %s", writer, a.status, a.body)
						}
					})
				}
				writers.Wait()
				specs := c.specs()
				winner, _, _ := strings.Cut(specs[0]["registry"].(string), ".")
				if len(specs) != lists[winner] {
					t.Fatalf("%d registries are left, the list of %s has %d", len(specs), winner, lists[winner])
				}
				for i, spec := range specs {
					if spec["registry"] != winner+".example.com" || spec["repository"] != fmt.Sprintf("r%d", i) {
						t.Fatalf("entry %d of the list of %s is %v of %v", i, winner, spec["repository"], spec["registry"])
					}
				}
			}
			entries, _, err := c.store.Audits(t.Context(), store.Page{Limit: store.MaxLimit})
			c.must(err)
			replaced := 0
			for _, e := range entries {
				if e.Action == "registries.replace" && e.Actor == "admin" {
					replaced++
				}
			}
			if replaced != 2*rounds {
				t.Errorf("%d replacements are in the audit log, want %d", replaced, 2*rounds)
			}
		})
	}
}
