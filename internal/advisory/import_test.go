package advisory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestImport(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	nested := []entry{{name: "./", kind: '5'}, {name: "./db/", kind: '5'}, {name: "./db/metadata.json", content: metadata(2)}, {name: "./db/trivy.db", content: "new"}}
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	bare := filepath.Dir(put("bare/trivy.db", []byte("new")))
	put("bare/metadata.json", []byte(metadata(2)))
	lone := put("lone/trivy.db", []byte("new"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(bare, link); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		file string
		kind tidewaiter.ErrorKind // "" when it works
	}{
		"tar.gz":             {put("a.tar.gz", packed(t, "new")), ""},
		"tar.zst":            {put("a.tar.zst", z.EncodeAll(tarred(t, nested), nil)), ""},
		"tar":                {put("a.tar", tarred(t, nested)), ""},
		"no ending":          {put("download", packed(t, "new")), ""},
		"directory":          {bare, ""},
		"link to one":        {link, ""},
		"trivy.db":           {filepath.Join(bare, "trivy.db"), ""},
		"missing":            {filepath.Join(dir, "missing"), tidewaiter.ErrNotFound},
		"no metadata beside": {lone, tidewaiter.ErrNotFound},
		"empty directory":    {t.TempDir(), tidewaiter.ErrNotFound},
		"empty file":         {put("empty", nil), tidewaiter.ErrUnsupported},
		"text":               {put("text", []byte(strings.Repeat("no archive ", 100))), tidewaiter.ErrUnsupported},
		"truncated tar.gz":   {put("b.tar.gz", packed(t, "new")[:90]), tidewaiter.ErrMalformed},
		"truncated tar.zst":  {put("b.tar.zst", z.EncodeAll(tarred(t, nested), nil)[:60]), tidewaiter.ErrMalformed},
		"truncated tar":      {put("b.tar", tarred(t, nested)[:700]), tidewaiter.ErrMalformed},
		"another schema":     {put("c.tar", tarred(t, []entry{{name: "trivy.db", content: "x"}, {name: "metadata.json", content: metadata(3)}})), tidewaiter.ErrUnsupported},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k := newKeeper(t, t.TempDir(), newRegistry(t), "127.0.0.1:1/x:2")
			first := filepath.Join(t.TempDir(), "first.tar.gz")
			write(t, first, string(packed(t, "old")))
			if changed, err := k.Import(t.Context(), first); !changed || err != nil {
				t.Fatalf("first import: %v %v", changed, err)
			}
			changed, err := k.Import(t.Context(), c.file)
			if tidewaiter.KindOf(err) != c.kind || changed != (c.kind == "") {
				t.Errorf("import: %v %v, want %q", changed, err, c.kind)
			}
			if c.kind != "" {
				k.uses(t, "old")
				return
			}
			k.uses(t, "new")
			if a := k.State().Current; a.Reference != filepath.Base(c.file) && name != "trivy.db" || !a.UpdatedAt.Equal(built) {
				t.Errorf("advisories: %+v", a)
			}
			if changed, err := k.Import(t.Context(), c.file); changed || err != nil {
				t.Errorf("the same again: %v %v", changed, err)
			}
			k.uses(t, "new")
		})
	}
}

// TestImportOfAPublishedLayer: a layer somebody carried over by hand is the version the registry has.
func TestImportOfAPublishedLayer(t *testing.T) {
	r := newRegistry(t)
	k := newKeeper(t, t.TempDir(), r, r.push(t, layerType, packed(t, "one")))
	file := filepath.Join(t.TempDir(), "db.tar.gz")
	write(t, file, string(packed(t, "one")))
	if _, err := k.Import(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	k.mustUpdate(t, false)
	if got := r.blobs.Load(); got != 0 {
		t.Errorf("%d blobs pulled, want none", got)
	}
}
