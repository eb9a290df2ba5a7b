package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestZZ(t *testing.T) {
	for _, secrets := range []bool{false, true} {
		f, err := os.Open("/tmp/zz.tar.gz")
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, engine.Options{Secrets: secrets})
		start := time.Now()
		a, err := e.Analyze(t.Context(), "", f)
		if err != nil {
			t.Fatal(err)
		}
		d := time.Since(start)
		b, _ := json.Marshal(a)
		st, _ := os.ReadFile("/proc/self/status")
		for l := range strings.SplitSeq(string(st), "\n") {
			if strings.HasPrefix(l, "VmHWM") {
				fmt.Println(l)
			}
		}
		c := engine.Merge([]*tidewaiter.Analysis{a})
		fmt.Println(d, len(b), a.Files, a.Bytes, len(c.Installed), len(a.Owned), len(c.Secrets), len(c.SetID), c.Distribution)
		by := map[string]int{}
		for _, in := range c.Installed {
			by[in.Package.Type]++
		}
		mark := 0
		for _, inv := range a.Inventories {
			if len(inv.Packages) == 0 {
				mark++
			}
		}
		fmt.Println(by, "markers", mark)
		for _, n := range a.Notices {
			fmt.Println(n)
		}
		for i, s := range c.Secrets {
			if i < 10 {
				fmt.Println(s.Rule, s.Path)
			}
		}
	}
}
