package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func node(name, version string) entry {
	return entry{name: "app/node_modules/" + name + "/package.json", body: fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)}
}

func stanza(name, version string) string {
	return "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n"
}

func dpkg(stanzas ...string) entry {
	return entry{name: "var/lib/dpkg/status", body: strings.Join(stanzas, "")}
}

func TestMerge(t *testing.T) {
	debian := entry{name: "etc/debian_version", body: "12.5\n"}
	for _, tt := range []struct {
		name   string
		layers [][]entry
		want   []string
	}{
		{"added", [][]entry{{node("a", "1.0.0")}, {node("b", "1.0.0")}}, []string{"a@1.0.0 in 0", "b@1.0.0 in 1"}},
		{"replaced", [][]entry{{node("a", "1.0.0")}, {node("a", "2.0.0")}}, []string{"a@2.0.0 in 1"}},
		{"touched", [][]entry{{node("a", "1.0.0")}, {node("a", "1.0.0")}}, []string{"a@1.0.0 in 0"}},
		{"replaced by something broken", [][]entry{{node("a", "1.0.0")}, {{name: "app/node_modules/a/package.json", body: "{"}}}, nil},
		{"replaced by a link", [][]entry{{node("a", "1.0.0")}, {{name: "app/node_modules/a/package.json", kind: '2', link: "/x"}}}, nil},
		{"file removed", [][]entry{{node("a", "1.0.0")}, {{name: "app/node_modules/a/.wh.package.json"}}}, nil},
		{"directory removed", [][]entry{{node("a", "1.0.0"), node("b", "1.0.0")}, {{name: "app/.wh.node_modules"}}}, nil},
		{"similar name not removed", [][]entry{{node("a", "1.0.0"), node("ab", "1.0.0")}, {{name: "app/node_modules/.wh.a"}}}, []string{"ab@1.0.0 in 0"}},
		{"removed and added again", [][]entry{{node("a", "1.0.0")}, {{name: "app/.wh.node_modules"}}, {node("a", "1.0.0")}}, []string{"a@1.0.0 in 2"}},
		{"whiteout of the own layer", [][]entry{{node("a", "1.0.0")}, {{name: "app/.wh.node_modules"}, node("b", "1.0.0")}}, []string{"b@1.0.0 in 1"}},
		{"whiteout after what it must not hide", [][]entry{{node("a", "1.0.0")}, {node("b", "1.0.0"), {name: "app/.wh.node_modules"}}}, []string{"b@1.0.0 in 1"}},
		{"opaque", [][]entry{{node("a", "1.0.0")}, {{name: "app/node_modules/.wh..wh..opq"}, node("b", "1.0.0")}}, []string{"b@1.0.0 in 1"}},
		{"opaque root", [][]entry{{node("a", "1.0.0"), dpkg(stanza("libc6", "1"))}, {{name: ".wh..wh..opq"}}}, nil},
		{"hard link outlives the file", [][]entry{
			{node("a", "1.0.0"), {name: "other/package.json", kind: '1', link: "app/node_modules/a/package.json"}},
			{{name: "app/.wh.node_modules"}},
		}, []string{"a@1.0.0 in 0"}},
		{"directory becomes a file", [][]entry{{node("a", "1.0.0")}, {{name: "app", body: "\x7fELF", mode: 0o4755}}}, nil},
		{"file becomes a directory", [][]entry{
			{{name: "x.jar", body: zipped(t, map[string]string{"META-INF/maven/g/a/pom.properties": "groupId=g\nartifactId=a\nversion=1\n"})}},
			{{name: "x.jar/package.json", body: `{"name":"n","version":"1.0.0"}`}},
		}, []string{"n@1.0.0 in 1"}},
		{"archive without inner archives replaces one with", [][]entry{
			{{name: "x.war", body: zipped(t, map[string]string{"a.jar": zipped(t, map[string]string{"META-INF/maven/g/a/pom.properties": "groupId=g\nartifactId=a\nversion=1\n"})})}},
			{{name: "x.war", body: zipped(t, map[string]string{"index.html": ""})}},
		}, nil},
		{"distribution's packages come from where they were first", [][]entry{
			{debian, dpkg(stanza("libc6", "1"), stanza("curl", "1"), stanza("gone", "1"))},
			{node("n", "1.0.0")},
			{dpkg(stanza("libc6", "1"), stanza("curl", "2"), stanza("git", "1"))},
			{dpkg(stanza("libc6", "1"), stanza("curl", "2"), stanza("git", "1"), stanza("vim", "1"))},
		}, []string{"curl@2 in 2", "git@1 in 2", "libc6@1 in 0", "vim@1 in 3", "n@1.0.0 in 1"}},
		{"a package that was away is new", [][]entry{
			{dpkg(stanza("libc6", "1"), stanza("curl", "1"))}, {dpkg(stanza("libc6", "1"))}, {dpkg(stanza("libc6", "1"), stanza("curl", "1"))},
		}, []string{"curl@1 in 2", "libc6@1 in 0"}},
		{"the same package twice", [][]entry{
			{dpkg(stanza("libc6", "1")), {name: "var/lib/dpkg/status.d/libc6", body: stanza("libc6", "1")}},
		}, []string{"libc6@1 in 0"}},
		{"replaced by a language's package manager", [][]entry{
			{
				dpkg("Package: npm\nArchitecture: all\nMaintainer: Debian\nVersion: 1\n"), node("npm", "1.0.0"),
				{name: "var/lib/dpkg/info/npm.md5sums", body: "0  app/node_modules/npm/package.json\n"},
			},
			{node("npm", "2.0.0")},
		}, []string{"npm@1 in 0", "npm@2.0.0 in 1"}},
		{"nothing", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, engine.Options{})
			var layers []*tidewaiter.Analysis
			for _, entries := range tt.layers {
				layers = append(layers, analyze(t, e, entries...))
			}
			before, err := json.Marshal(layers)
			if err != nil {
				t.Fatal(err)
			}
			c := engine.Merge(layers)
			if diff := cmp.Diff(tt.want, installed(c)); diff != "" {
				t.Error(diff)
			}
			if after, err := json.Marshal(layers); err != nil || string(after) != string(before) {
				t.Error("the analyses were changed")
			}
		})
	}
}

func TestMergeKeepsLicences(t *testing.T) {
	e := newEngine(t, engine.Options{})
	c := engine.Merge([]*tidewaiter.Analysis{
		analyze(t, e, dpkg(stanza("libc6", "1")), entry{name: "usr/share/doc/libc6/copyright", body: "License: MIT\n"}), nil,
		analyze(t, e, dpkg(stanza("libc6", "1"), stanza("curl", "1"))),
	})
	if diff := cmp.Diff([]string{"MIT"}, c.Installed[1].Package.Licenses); diff != "" {
		t.Error(diff)
	}
}

func TestMergeContentSets(t *testing.T) {
	rpm := func(pkgs ...string) []tidewaiter.Inventory {
		inv := tidewaiter.Inventory{Path: "/var/lib/rpm/Packages", Type: "rpm"}
		for _, p := range pkgs {
			inv.Packages = append(inv.Packages, tidewaiter.Package{Ecosystem: tidewaiter.EcosystemRPM, Name: p, Version: "1"})
		}
		return []tidewaiter.Inventory{inv}
	}
	c := engine.Merge([]*tidewaiter.Analysis{
		{Distribution: &tidewaiter.Distribution{Family: "redhat", Release: "8.9"}, Inventories: rpm("base")},
		{ContentSets: []string{"baseos"}, Inventories: rpm("base", "second")},
		{Inventories: rpm("base", "second", "customer")},
		{ContentSets: []string{"appstream"}, Inventories: rpm("base", "second", "customer", "top")},
	})
	got := map[string]string{}
	for _, in := range c.Installed {
		got[in.Package.Name] = strings.Join(in.Package.Distribution.ContentSets, ",")
	}
	if diff := cmp.Diff(map[string]string{"base": "baseos", "second": "baseos", "customer": "baseos", "top": "appstream"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMergeDistribution(t *testing.T) {
	d := func(family, release string) *tidewaiter.Analysis {
		return &tidewaiter.Analysis{Distribution: &tidewaiter.Distribution{Family: family, Release: release}}
	}
	for _, tt := range []struct {
		name   string
		layers []*tidewaiter.Analysis
		want   string
	}{
		{"upgraded", []*tidewaiter.Analysis{d("debian", "12.4"), d("debian", "12.5")}, "debian 12.5"},
		{"told in two layers", []*tidewaiter.Analysis{d("redhat", "8.9"), d("oracle", "8.9")}, "oracle 8.9"},
		{"told in two layers, the other way round", []*tidewaiter.Analysis{d("oracle", "8.9"), d("redhat", "8.9")}, "oracle 8.9"},
		{"something copied in", []*tidewaiter.Analysis{d("alpine", "3.20.1"), {}, d("fedora", "40")}, "alpine 3.20.1"},
	} {
		c := engine.Merge(tt.layers)
		if got := c.Distribution.Family + " " + c.Distribution.Release; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestMergeSecretsAndSetID(t *testing.T) {
	e := newEngine(t, engine.Options{Secrets: true})
	token := func(line int) entry {
		return entry{name: "app/.env", body: strings.Repeat("#\n", line-1) + "TOKEN=" + githubToken + "\n"}
	}
	c := engine.Merge([]*tidewaiter.Analysis{
		analyze(t, e, token(3), entry{name: "root/id_rsa", body: privateKey},
			entry{name: "usr/bin/su", mode: 0o4755}, entry{name: "usr/bin/passwd", mode: 0o4755}, entry{name: "usr/bin/own", mode: 0o2755}),
		analyze(t, e, token(5), entry{name: "root/.wh.id_rsa"}, entry{name: "usr/bin/su", mode: 0o755}, entry{name: "usr/bin/.wh.own"}),
	})
	var got []string
	for _, s := range c.Secrets {
		got = append(got, fmt.Sprintf("%s %s:%d in %d", s.Rule, s.Path, s.StartLine, s.Layer))
	}
	if diff := cmp.Diff([]string{"github-pat /app/.env:5 in 1", "private-key /root/id_rsa:2 in 0"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]tidewaiter.SetIDFile{{Path: "/usr/bin/passwd", Mode: 0o4755}}, c.SetID); diff != "" {
		t.Error(diff)
	}
}

// A stack of layers holds what a file system holds over which they are unpacked one after another.
func TestMergeIsUnpacking(t *testing.T) {
	e := newEngine(t, engine.Options{})
	paths := []string{"a/package.json", "a/b/package.json", "a/b/c/package.json", "ab/package.json", "a/b.json/package.json", "package.json"}
	dirs := []string{"a", "a/b", "a/b/c", "ab", "a/b.json"}
	rapid.Check(t, func(r *rapid.T) {
		fs := map[string]string{} // by path: the version
		since := map[string]int{} // by path: the layer that brought this version
		var layers []*tidewaiter.Analysis
		for i := range rapid.IntRange(1, 6).Draw(r, "layers") {
			var entries []entry
			written := map[string]string{}
			for range rapid.IntRange(0, 6).Draw(r, "entries") {
				switch rapid.IntRange(0, 4).Draw(r, "kind") {
				case 0, 1:
					p, v := rapid.SampledFrom(paths).Draw(r, "path"), rapid.SampledFrom([]string{"1.0.0", "2.0.0"}).Draw(r, "version")
					entries = append(entries, entry{name: p, body: fmt.Sprintf(`{"name":"x","version":%q}`, v)})
					written[p] = v
				case 2:
					p := rapid.SampledFrom(paths).Draw(r, "path")
					entries = append(entries, entry{name: path.Join(path.Dir(p), ".wh.package.json")})
					delete(fs, p)
				case 3:
					d := rapid.SampledFrom(dirs).Draw(r, "directory")
					entries = append(entries, entry{name: path.Join(path.Dir(d), ".wh."+path.Base(d))})
					maps.DeleteFunc(fs, func(p, _ string) bool { return strings.HasPrefix(p, d+"/") })
				case 4:
					d := rapid.SampledFrom(dirs).Draw(r, "directory")
					entries = append(entries, entry{name: d + "/.wh..wh..opq"})
					maps.DeleteFunc(fs, func(p, _ string) bool { return strings.HasPrefix(p, d+"/") })
				}
			}
			for p, v := range written {
				if fs[p] != v {
					since[p] = i
				}
				fs[p] = v
			}
			layers = append(layers, analyze(t, e, entries...))
		}
		var want, got []string
		for p, v := range fs {
			want = append(want, fmt.Sprintf("/%s %s in %d", p, v, since[p]))
		}
		for _, in := range engine.Merge(layers).Installed {
			got = append(got, fmt.Sprintf("%s %s in %d", in.Path, in.Package.Version, in.Layer))
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatal(diff)
		}
	})
}
