package qualys_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/qualys"
)

func TestQID(t *testing.T) {
	for name, qid := range map[string]int{
		"CVE-1999-0001": 90_000_001, "CVE-2024-12345": 340_012_345, "CVE-2024-1234567": 341_234_567, "CVE-2203-9999999": 2_139_999_999,
	} {
		if got := qualys.QIDOf(name); got != qid {
			t.Errorf("%s: %d, want %d", name, got, qid)
		}
	}
	for _, name := range []string{"GHSA-aaaa-bbbb-cccc", "CVE-2024-12345678", "CVE-1970-1", "cve-2024-1", "DLA-1", "", "CVE-2024-1x"} {
		if got := qualys.QIDOf(name); got < 10_000_000 || got > 89_999_999 {
			t.Errorf("%q: %d", name, got)
		}
	}
}

// TestQIDsAreDistinct looks for names whose hashes collide and wants them apart, whatever order they come in.
func TestQIDsAreDistinct(t *testing.T) {
	seen := map[int]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("GHSA-%d", i)
		qid := qualys.QIDOf(name)
		other, collides := seen[qid]
		if !collides {
			seen[qid] = name
			continue
		}
		one, two := qualys.QIDsOf([]string{name, other}), qualys.QIDsOf([]string{other, name, name})
		if one[name] == one[other] || one[name] != two[name] || one[other] != two[other] {
			t.Errorf("%s and %s: %v %v", name, other, one, two)
		}
		return
	}
}

func TestQIDsFit32Bits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOf(rapid.OneOf(rapid.StringMatching(`CVE-[0-9]{4}-[0-9]{1,7}`), rapid.String())).Draw(t, "names")
		qids := qualys.QIDsOf(names)
		var all []int
		for _, name := range names {
			qid := qids[name]
			if qid <= 0 || qid > math.MaxInt32 {
				t.Fatalf("%s: %d", name, qid)
			}
			all = append(all, qid)
		}
		slices.Sort(all)
		slices.Sort(names)
		if len(slices.Compact(all)) != len(slices.Compact(names)) {
			t.Fatalf("%v", qids)
		}
	})
}

func FuzzLogins(f *testing.F) {
	f.Add("username=a&password=b&token=true")
	f.Add("username=a&password=p+ss%&word=1 2&token=true")
	f.Add("&&=&username")
	f.Fuzz(func(t *testing.T, body string) {
		if n := len(qualys.LoginsOf(body)); n > 2 {
			t.Errorf("%d readings of %q: each costs a failed login", n, body)
		}
	})
}
