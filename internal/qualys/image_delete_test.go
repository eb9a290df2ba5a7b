package qualys_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestDeleteImages(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.seed("a:1", "b:1", "c:1", "d:1", "e:1")
	c.endScan(id, "")
	left := func(expected ...string) {
		t.Helper()
		rows, _, err := c.control.Images(t.Context(), control.ImageFilter{Asc: true})
		c.must(err)
		var got []string
		for _, row := range rows {
			got = append(got, row.Tags[0].Repository.Name)
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, nothing := range []string{"", "{}", "[]", `{"imageIds":[],"filter":""}`} {
		want[map[string]any](c, 400, "DELETE", "/images", nothing)
	}
	want[map[string]any](c, 400, "DELETE", "/images?imageIds=nginx:latest", "")
	want[map[string]any](c, 400, "DELETE", "/images?filter=colour:red", "")
	want[map[string]any](c, 404, "DELETE", "/images?imageIds="+hexOf(1), "")
	want[map[string]any](c, 403, "DELETE", "/images?filter=sha:*", "", asUser("auditor"))
	left("a", "b", "c", "d", "e")
	gone := func(path, body string) {
		t.Helper()
		if a := c.call("DELETE", path, body); a.status != 204 || a.body != "" {
			t.Fatalf("%+v", a)
		}
	}
	gone("/csapi/v1.1/images", `{"imageIds":["`+hexOf(2000)+`"],"filter":"sha:*"}`)
	left("b", "c", "d", "e")
	gone("/images?imageIds=sha256:"+hexOf(2001)+"&imageIds="+hexOf(1), "")
	left("c", "d", "e")
	gone(`/images?filter=repo.repository:"c"`, "")
	left("d", "e")
	want[map[string]any](c, 404, "GET", "/images/"+hexOf(2002), "")

	// The next scan of the tag takes it for new.
	c.must(c.store.Update(t.Context(), func(tx *store.Tx) error {
		r, err := tx.Registry(t.Context(), id)
		if err != nil {
			return err
		}
		return c.seedImage(tx, r, 2, "c", "1")
	}))
	left("d", "e", "c")

	// What is being scanned stays when a filter chooses it, and says so when it is named.
	waiting := seededImage(9)
	waiting.Layers[0].DiffID = digestOf(99)
	c.must(c.store.Update(t.Context(), func(tx *store.Tx) error {
		r, err := tx.Registry(t.Context(), id)
		if err != nil {
			return err
		}
		tag, err := c.seedTag(tx, r, "w", "1", waiting.Digest)
		if err != nil {
			return err
		}
		_, err = tx.IndexTag(t.Context(), store.IndexTag{TagID: tag, Digest: waiting.Digest, Images: []*tidewaiter.Image{waiting},
			Source: store.Source{RegistryID: id, Repository: "w"}, Analyzer: analyzer, Now: c.clock.Now()})
		return err
	}))
	want[map[string]any](c, 409, "DELETE", "/images?imageIds="+hexOf(2009), "")
	gone("/images?filter=sha:*", "")
	left("w")
}
