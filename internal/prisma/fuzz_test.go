package prisma_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/prisma"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// FuzzSpecification holds that a specification is either refused as invalid, or kept in a form that means the same and is
// kept in the same form again.
func FuzzSpecification(f *testing.F) {
	for _, s := range []string{declared, `{}`, `null`, `{"version":"2"}`, `{"version":"2","cap":1e3}`, `{"version":"2","collections":null}`,
		`{"version":"2","registry":"http://[::1]:5000/a/../b/"}`, `{"version":"bluemix","registry":"us.icr.io","namespace":"a/","repository":"a/b"}`,
		"{\"version\":\"2\",\"repository\":\"\xff*\\u0000\"}", `{"Version":"2","version":"aws"}`, `{"version":"2","gitlabRegistrySpec":{"a":[[[]]]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := prisma.ParseSpecification(b)
		if err != nil {
			if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
				t.Fatalf("%v is %s", err, tidewaiter.KindOf(err))
			}
			return
		}
		again, err := prisma.ParseSpecification(r.Declaration)
		if err != nil {
			t.Fatalf("what was kept is refused: %v in %s", err, r.Declaration)
		}
		r.ID = ""
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatalf("what was kept means something else:\n%s", diff)
		}
	})
}

// FuzzQuery holds that any query is read within bounds or refused as invalid.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "limit=50&offset=0", "filterBaseImage=true?limit=50&offset=50", "limit=%zz;&offset", "limit=99999999999999999999",
		"name=a,b,,c&name=/&id=sha256:x&registry=::&sort=scanTime&reverse", "limit=?&offset=?1", "registry=%00&search=%25_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		filter, offset, limit, err := prisma.ParseQuery(raw)
		if err != nil {
			if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
				t.Fatalf("%v is %s", err, tidewaiter.KindOf(err))
			}
			return
		}
		if offset < 0 || limit < 0 || limit > 250 {
			t.Fatalf("page %d, %d", offset, limit)
		}
		for _, list := range [][]string{filter.Hosts, filter.Repositories, filter.Tags, filter.References, filter.ImageIDs} {
			for _, s := range list {
				if strings.TrimSpace(s) == "" {
					t.Fatalf("an empty filter in %q", list)
				}
			}
		}
	})
}
