package engine_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Whatever a blob holds, it is read to its end, and is an analysis that can be merged or an error with a kind.
func FuzzAnalyze(f *testing.F) {
	good := layerOf(f,
		entry{name: "etc/os-release", body: "ID=alpine\nVERSION_ID=3.20.1\n"}, entry{name: "lib/apk/db/installed", body: apkInstalled},
		entry{name: "var/lib/dpkg/status", body: dpkgStatus}, entry{name: "a/.wh.b"}, entry{name: "a/.wh..wh..opq"},
		node("a", "1.0.0"), entry{name: "b/package.json", kind: '1', link: "app/node_modules/a/package.json"},
		entry{name: "x.jar", body: zipped(f, map[string]string{"META-INF/maven/g/a/pom.properties": "groupId=g\nartifactId=a\nversion=1\n"})},
		entry{name: "usr/bin/x", body: "\x7fELF\x02\x01\x01", mode: 0o6755}, entry{name: "../../x", body: "y"},
		entry{name: "opt/bitnami/redis/.spdx-redis.spdx", body: bitnamiSPDX},
	)
	f.Add(good)
	f.Add(gzipped(f, good))
	f.Add(zstandard(f, good))
	f.Add(gzipped(f, good)[:200])
	f.Add(good[:700])
	f.Add(good[:513])
	f.Add(gzipped(f, bytes.Repeat([]byte{0}, 1<<20)))
	f.Add([]byte("\x1f\x8b"))
	f.Add([]byte{})
	sparse := bytes.Clone(good)
	sparse[156] = 'S' // the first entry claims to be sparse
	f.Add(sparse)
	e := newEngine(f, engine.Options{Secrets: true, Limits: engine.Limits{LayerBytes: 4 << 20, Text: 1 << 20, File: 1 << 20}})
	f.Fuzz(func(t *testing.T, blob []byte) {
		r := bytes.NewReader(blob)
		a, err := e.Analyze(t.Context(), "", r)
		if r.Len() > 0 {
			t.Errorf("%d bytes were left unread", r.Len())
		}
		switch kind := tidewaiter.KindOf(err); {
		case err == nil:
			engine.Merge([]*tidewaiter.Analysis{a, a})
		case kind != tidewaiter.ErrMalformed && kind != tidewaiter.ErrTooLarge && kind != tidewaiter.ErrUnsupported:
			t.Errorf("%s: %v", kind, err)
		}
	})
}

// The heavy half of Trivy stays out: with it come cloud clients, Kubernetes and a policy engine.
func TestOnlyTheLightHalf(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const trivy = "github.com/aquasecurity/trivy/pkg/"
	for dep := range strings.FieldsSeq(string(out)) {
		for _, heavy := range []string{"fanal/analyzer", "fanal/applier", "fanal/artifact", "cache", "scan/local", "db", "oci", "misconf"} {
			if dep == trivy+heavy || strings.HasPrefix(dep, trivy+heavy+"/") {
				t.Errorf("depends on %s", dep)
			}
		}
	}
}
