package advisory_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// FuzzImport: whatever file is given, either a whole database is in use afterwards or none and the reason has a kind;
// nothing is ever written beside the Keeper's own directory.
func FuzzImport(f *testing.F) {
	f.Add(packed(f, "one"))
	f.Add(packed(f, "one")[:80])
	f.Add(tarred(f, database("one")))
	f.Add(tarred(f, []entry{{name: "../trivy.db", content: "x"}}))
	f.Add(tarred(f, []entry{{"trivy.db", "metadata.json", '2'}, {name: "metadata.json", content: metadata(2)}}))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		outer := t.TempDir()
		file := filepath.Join(outer, "file")
		write(t, file, string(content))
		k := newKeeper(t, filepath.Join(outer, "advisories"), nil, "none/none:2")
		changed, err := k.Import(t.Context(), file)
		if changed != (err == nil) || (err == nil) != (k.State().Current != nil) {
			t.Errorf("import: %v %v, state %+v", changed, err, k.State())
		}
		if err != nil && tidewaiter.KindOf(err) == tidewaiter.ErrBug {
			t.Errorf("import: an error without a kind: %v", err)
		}
		k.uses(t, k.user.content)
		entries, err := os.ReadDir(outer)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 2 {
			t.Errorf("%d entries beside the keeper's directory: %v", len(entries), entries)
		}
	})
}
