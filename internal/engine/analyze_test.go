package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const dpkgStatus = `Package: libssl3
Status: install ok installed
Priority: optional
Section: libs
Installed-Size: 5958
Maintainer: Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>
Architecture: amd64
Multi-Arch: same
Source: openssl (3.0.11-1~deb12u2)
Version: 3.0.11-1~deb12u2
Depends: libc6 (>= 2.34)
Description: Secure Sockets Layer toolkit - shared libraries
 This package is part of the OpenSSL project's implementation.
 .
 More of it.

Package: passwd
Status: install ok installed
Maintainer: Shadow package maintainers <pkg-shadow-devel@lists.alioth.debian.org>
Architecture: amd64
Source: shadow
Version: 1:4.13+dfsg1-1+b1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: docker-ce-cli
Status: install ok installed
Maintainer: Docker <support@docker.com>
Architecture: amd64
Version: 5:24.0.7-1~debian.12~bookworm

Package: python3-requests
Status: install ok installed
Maintainer: Debian Python Team <team+python@tracker.debian.org>
Architecture: all
Source: requests
Version: 2.28.1+dfsg-1
`

const requestsMetadata = "Metadata-Version: 2.1\nName: requests\nVersion: 2.28.1\nLicense: Apache 2.0\n\nbody\n"

func TestDebian(t *testing.T) {
	e := newEngine(t, engine.Options{})
	a := analyze(t, e,
		entry{name: "etc/os-release", body: "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"},
		entry{name: "etc/debian_version", body: "12.5\n"},
		entry{name: "./usr/lib/python3/dist-packages/requests-2.28.1.egg-info/PKG-INFO", body: requestsMetadata},
		entry{name: "usr/lib/node_modules/docker/package.json", body: `{"name":"docker-thing","version":"1.0.0"}`},
		entry{name: "var/lib/dpkg/status", body: dpkgStatus},
		entry{name: "var/lib/dpkg/info/python3-requests.md5sums",
			body: "d41d8cd98f00b204e9800998ecf8427e  usr/lib/python3/dist-packages/requests-2.28.1.egg-info/PKG-INFO\n"},
		entry{name: "var/lib/dpkg/info/docker-ce-cli.list", body: "/.\n/usr/lib/node_modules/docker/package.json\n"},
		entry{name: "usr/share/doc/libssl3/copyright", body: "License: Apache-2.0 or OpenSSL\nblah\n"},
		entry{name: "usr/share/doc/passwd/copyright", body: "see /usr/share/common-licenses/GPL-2.\n"},
		entry{name: "usr/share/doc/x/examples/copyright", body: "License: MIT\n"},
	)
	if diff := cmp.Diff(&tidewaiter.Distribution{Family: "debian", Release: "12.5", PrettyName: "Debian GNU/Linux 12 (bookworm)"}, a.Distribution); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/usr/lib/python3/dist-packages/requests-2.28.1.egg-info/PKG-INFO"}, a.Owned); diff != "" {
		t.Error(diff)
	}
	if len(a.Notices) > 0 {
		t.Errorf("notices: %v", a.Notices)
	}
	c := engine.Merge([]*tidewaiter.Analysis{a})
	var got []tidewaiter.Package
	for _, in := range c.Installed {
		got = append(got, *in.Package)
	}
	debian := tidewaiter.Distribution{Family: "debian", Release: "12.5"}
	want := []tidewaiter.Package{
		{
			Distribution: debian, Ecosystem: "deb", Type: "dpkg", Name: "docker-ce-cli", Epoch: 5, Version: "24.0.7",
			Release: "1~debian.12~bookworm", Arch: "amd64", Source: "docker-ce-cli", SourceEpoch: 5, SourceVer: "24.0.7",
			SourceRel: "1~debian.12~bookworm", Repository: "third-party", Maintainer: "Docker <support@docker.com>",
			PURL: "pkg:deb/debian/docker-ce-cli@24.0.7-1~debian.12~bookworm?arch=amd64&distro=debian-12.5&epoch=5",
		},
		{
			Distribution: debian, Ecosystem: "deb", Type: "dpkg", Name: "libssl3", Version: "3.0.11", Release: "1~deb12u2", Arch: "amd64",
			Source: "openssl", SourceVer: "3.0.11", SourceRel: "1~deb12u2", Repository: "official",
			Maintainer: "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>",
			Licenses:   []string{"Apache-2.0", "OpenSSL"},
			PURL:       "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.5",
		},
		{
			Distribution: debian, Ecosystem: "deb", Type: "dpkg", Name: "passwd", Epoch: 1, Version: "4.13+dfsg1", Release: "1+b1", Arch: "amd64",
			Source: "shadow", SourceEpoch: 1, SourceVer: "4.13+dfsg1", SourceRel: "1+b1", Repository: "official",
			Maintainer: "Shadow package maintainers <pkg-shadow-devel@lists.alioth.debian.org>",
			Licenses:   []string{"GPL-2.0-only"},
			PURL:       "pkg:deb/debian/passwd@4.13%2Bdfsg1-1%2Bb1?arch=amd64&distro=debian-12.5&epoch=1",
		},
		{
			Distribution: debian, Ecosystem: "deb", Type: "dpkg", Name: "python3-requests", Version: "2.28.1+dfsg", Release: "1", Arch: "all",
			Source: "requests", SourceVer: "2.28.1+dfsg", SourceRel: "1", Repository: "official",
			Maintainer: "Debian Python Team <team+python@tracker.debian.org>",
			PURL:       "pkg:deb/debian/python3-requests@2.28.1%2Bdfsg-1?arch=all&distro=debian-12.5",
		},
		{Ecosystem: "npm", Type: "node-pkg", Name: "docker-thing", Version: "1.0.0", PURL: "pkg:npm/docker-thing@1.0.0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDistroless(t *testing.T) {
	a := analyze(t, newEngine(t, engine.Options{}),
		entry{name: "var/lib/dpkg/status.d/tzdata", body: "Package: tzdata\nArchitecture: all\nVersion: 2024a-0+deb12u1\n"},
		entry{name: "var/lib/dpkg/status.d/tzdata.md5sums", body: "d41d8cd98f00b204e9800998ecf8427e  opt/x/package.json\n"},
		entry{name: "opt/x/package.json", body: `{"name":"x","version":"1.0.0"}`},
		entry{name: "var/lib/dpkg/status.d/libc6", body: "Package: libc6\nSource: glibc\nArchitecture: amd64\nVersion: 2.36-9+deb12u4"},
	)
	want := []string{"libc6@2.36-9+deb12u4 in 0", "tzdata@2024a-0+deb12u1 in 0"}
	if diff := cmp.Diff(want, installed(engine.Merge([]*tidewaiter.Analysis{a}))); diff != "" {
		t.Error(diff)
	}
}

const apkInstalled = `C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=
P:alpine-baselayout
V:3.6.5-r0
A:x86_64
L:GPL-2.0-only
o:alpine-baselayout
m:Natanael Copa <ncopa@alpinelinux.org>
F:etc
R:motd

P:libssl3
V:3.3.1-r3
A:x86_64
L:Apache-2.0
o:openssl
m:Ariadne Conill <ariadne@dereferenced.org>
F:usr/lib
R:libssl.so.3
F:usr/lib/node_modules/npm
R:package.json

P:broken
V:not a version
`

func TestAlpine(t *testing.T) {
	npm := entry{name: "usr/lib/node_modules/npm/package.json", body: `{"name":"npm","version":"10.8.1","license":"Artistic-2.0"}`}
	for _, tt := range []struct{ repositories, release, branch string }{
		{"https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n", "3.20.1", ""},
		{"https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n@edge https://dl-cdn.alpinelinux.org/alpine/edge/main\n", "3.20.1", "edge"},
		{"https://dl-cdn.alpinelinux.org/alpine/v3.9/main\nhttps://dl-cdn.alpinelinux.org/alpine/v3.21/main\n", "3.20.1", "3.21"},
		{"", "3.20.1", ""},
	} {
		a := analyze(t, newEngine(t, engine.Options{}),
			entry{name: "etc/alpine-release", body: "3.20.1\n"},
			entry{name: "etc/os-release", body: "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n"},
			entry{name: "etc/apk/repositories", body: tt.repositories},
			entry{name: "lib/apk/db/installed", body: apkInstalled}, npm,
		)
		c := engine.Merge([]*tidewaiter.Analysis{a})
		if diff := cmp.Diff([]string{"alpine-baselayout@3.6.5-r0 in 0", "libssl3@3.3.1-r3 in 0"}, installed(c)); diff != "" {
			t.Fatal(diff)
		}
		p := c.Installed[1].Package
		want := &tidewaiter.Package{
			Distribution: tidewaiter.Distribution{Family: "alpine", Release: tt.release}, Ecosystem: "apk", Type: "apk", Name: "libssl3",
			Version: "3.3.1-r3", Arch: "x86_64", Source: "openssl", SourceVer: "3.3.1-r3", Repository: tt.branch,
			Maintainer: "Ariadne Conill <ariadne@dereferenced.org>", Licenses: []string{"Apache-2.0"},
			PURL: "pkg:apk/alpine/libssl3@3.3.1-r3?arch=x86_64&distro=3.20.1",
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDistributions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"ubuntu over debian", []entry{
			{name: "etc/debian_version", body: "bookworm/sid\n"},
			{name: "etc/lsb-release", body: "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"},
			{name: "usr/lib/os-release", body: "ID=ubuntu\nVERSION_ID=\"22.04\"\n"},
		}, "ubuntu 22.04"},
		{"rocky over redhat", []entry{
			{name: "etc/redhat-release", body: "Rocky Linux release 9.4 (Blue Onyx)\n"},
			{name: "etc/os-release", body: "ID=\"rocky\"\nVERSION_ID=\"9.4\"\n"},
		}, "rocky 9.4"},
		{"oracle over redhat", []entry{
			{name: "etc/redhat-release", body: "Red Hat Enterprise Linux release 8.9 (Ootpa)\n"},
			{name: "etc/oracle-release", body: "Oracle Linux Server release 8.9\n"},
		}, "oracle 8.9"},
		{"centos exact", []entry{
			{name: "etc/os-release", body: "ID=centos\nVERSION_ID=7\n"},
			{name: "etc/centos-release", body: "CentOS Linux release 7.6.1810 (Core)\n"},
		}, "centos 7.6.1810"},
		{"stream", []entry{
			{name: "etc/redhat-release", body: "CentOS Stream release 9\n"},
			{name: "etc/os-release", body: "ID=centos\nNAME=\"CentOS Stream\"\nVERSION_ID=9\n"},
		}, "centos-stream 9"},
		{"red hat", []entry{{name: "etc/redhat-release", body: "Red Hat Enterprise Linux release 9.4 (Plow)\n"}}, "redhat 9.4"},
		{"alma", []entry{{name: "etc/almalinux-release", body: "AlmaLinux release 8.4 (Electric Cheetah)\n"}}, "alma 8.4"},
		{"amazon 2", []entry{{name: "etc/system-release", body: "Amazon Linux release 2 (Karoo)\n"}}, "amazon 2 (Karoo)"},
		{"amazon 2023", []entry{
			{name: "usr/lib/system-release", body: "Amazon Linux release 2023.3.20240108 (Amazon Linux)\n"},
			{name: "etc/os-release", body: "ID=\"amzn\"\nVERSION_ID=\"2023\"\n"},
		}, "amazon 2023.3.20240108 (Amazon Linux)"},
		{"suse", []entry{{name: "usr/lib/os-release", body: "ID=\"sles\"\nVERSION_ID=\"15.5\"\n"}}, "sles 15.5"},
		{"leap", []entry{{name: "usr/lib/os-release", body: "ID=\"opensuse-leap\"\nVERSION_ID=\"15.5\"\n"}}, "opensuse-leap 15.5"},
		{"photon", []entry{{name: "etc/os-release", body: "ID=photon\nVERSION_ID=5.0\n"}}, "photon 5.0"},
		{"azure", []entry{{name: "etc/os-release", body: "ID=azurelinux\nVERSION_ID=\"3.0\"\n"}}, "azurelinux 3.0"},
		{"mariner", []entry{{name: "etc/os-release", body: "ID=mariner\nVERSION_ID=\"2.0\"\n"}}, "cbl-mariner 2.0"},
		{"wolfi", []entry{{name: "etc/os-release", body: "ID=wolfi\nVERSION_ID=\"20230201\"\n"}}, "wolfi 20230201"},
		{"chainguard", []entry{{name: "etc/os-release", body: "ID=chainguard\nVERSION_ID=\"20230214\"\n"}}, "chainguard 20230214"},
		{"minimos", []entry{{name: "etc/os-release", body: "ID=minimos\nVERSION_ID=\"20241031\"\n"}}, "minimos 20241031"},
		{"debian without its file", []entry{{name: "etc/os-release", body: "ID=debian\nVERSION_ID=\"12\"\n"}}, "debian 12"},
		{"unknown", []entry{{name: "etc/os-release", body: "ID=plan9\nVERSION_ID=4\n"}}, ""},
		{"empty", []entry{{name: "etc/alpine-release"}}, ""},
		{"extended", []entry{
			{name: "etc/lsb-release", body: "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=18.04\n"},
			{name: "var/lib/ubuntu-advantage/status.json", body: `{"services":[{"name":"esm-infra","status":"enabled"}]}`},
		}, "ubuntu 18.04-ESM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := analyze(t, newEngine(t, engine.Options{}), tt.entries...)
			got := ""
			if d := engine.Merge([]*tidewaiter.Analysis{a}).Distribution; d != nil {
				got = d.Family + " " + d.Release
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLanguages(t *testing.T) {
	pom := map[string]string{
		"META-INF/maven/org.example/app/pom.properties": "groupId=org.example\nartifactId=app\nversion=1.2.3\n",
		"META-INF/maven/org.example/app/pom.xml":        `<?xml version="1.0"?><project><licenses><license><name>MIT</name></license></licenses></project>`,
		"META-INF/MANIFEST.MF":                          "Manifest-Version: 1.0\n",
	}
	log4j := zipped(t, map[string]string{
		"META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": "artifactId=log4j-core\ngroupId=org.apache.logging.log4j\nversion=2.14.1\n",
	})
	for _, tt := range []struct {
		name string
		in   entry
		want []string
	}{
		{"node", entry{name: "app/node_modules/lodash/package.json", body: `{"name":"lodash","version":"4.17.20","license":"MIT"}`},
			[]string{"/app/node_modules/lodash/package.json node-pkg:lodash@4.17.20"}},
		{"node scoped", entry{name: "app/node_modules/@babel/core/package.json", body: `{"name":"@babel/core","version":"7.0.0"}`},
			[]string{"/app/node_modules/@babel/core/package.json node-pkg:@babel/core@7.0.0"}},
		{"node without name", entry{name: "app/dist/esm/package.json", body: `{"type":"module"}`}, nil},
		{"node package's broken test file", entry{name: "app/node_modules/resolve/test/malformed/package.json", body: `{`}, nil},
		{"wheel", entry{name: "usr/local/lib/python3.12/site-packages/requests-2.28.1.dist-info/METADATA", body: requestsMetadata},
			[]string{"/usr/local/lib/python3.12/site-packages/requests-2.28.1.dist-info/METADATA python-pkg:requests@2.28.1"}},
		{"egg-info file", entry{name: "usr/lib/python3/x.egg-info", body: "Metadata-Version: 1.0\nName: x\nVersion: 1.0\n"},
			[]string{"/usr/lib/python3/x.egg-info python-pkg:x@1.0"}},
		{"egg", entry{name: "usr/lib/python3/y.egg", body: zipped(t, map[string]string{"EGG-INFO/PKG-INFO": "Name: y\nVersion: 2.0\n"})},
			[]string{"/usr/lib/python3/y.egg python-pkg:y@2.0"}},
		{"gem", entry{name: "usr/local/bundle/specifications/rails-7.0.4.gemspec",
			body: "# -*- encoding: utf-8 -*-\nGem::Specification.new do |s|\n  s.name = \"rails\".freeze\n  s.version = \"7.0.4\"\n  s.licenses = [\"MIT\".freeze]\nend\n"},
			[]string{"/usr/local/bundle/specifications/rails-7.0.4.gemspec gemspec:rails@7.0.4"}},
		{"composer", entry{name: "var/www/vendor/composer/installed.json",
			body: `{"packages":[{"name":"symfony/http-kernel","version":"v5.4.0","license":["MIT"]}]}`},
			[]string{"/var/www/vendor/composer/installed.json composer-vendor:symfony/http-kernel@v5.4.0"}},
		{"dotnet", entry{name: "app/App.deps.json",
			body: `{"runtimeTarget":{"name":".NETCoreApp,Version=v6.0"},"targets":{".NETCoreApp,Version=v6.0":{"Newtonsoft.Json/12.0.1":{"runtime":{"lib/Newtonsoft.Json.dll":{}}}}},"libraries":{"Newtonsoft.Json/12.0.1":{"type":"package"}}}`},
			[]string{"/app/App.deps.json dotnet-core:Newtonsoft.Json@12.0.1"}},
		{"conda", entry{name: "opt/conda/envs/base/conda-meta/openssl-1.1.1q-h7f8727e_0.json", body: `{"name":"openssl","version":"1.1.1q","license":"OpenSSL"}`},
			[]string{"/opt/conda/envs/base/conda-meta/openssl-1.1.1q-h7f8727e_0.json conda-pkg:openssl@1.1.1q"}},
		{"julia", entry{name: "app/Manifest.toml",
			body: "julia_version = \"1.9.0\"\nmanifest_format = \"2.0\"\n\n[[deps.JSON]]\nuuid = \"682c06a0-de6a-54ab-a142-c8b1cf79cde6\"\nversion = \"0.21.4\"\n"},
			[]string{"/app/Manifest.toml julia:JSON@0.21.4"}},
		{"jar", entry{name: "app/app.jar", body: zipped(t, pom)}, []string{"/app/app.jar jar:org.example:app@1.2.3"}},
		{"war with jars", entry{name: "app/shop.war", body: zipped(t, map[string]string{"WEB-INF/lib/log4j-core-2.14.1.jar": log4j})},
			[]string{"/app/shop.war/WEB-INF/lib/log4j-core-2.14.1.jar jar:org.apache.logging.log4j:log4j-core@2.14.1"}},
		{"spdx", entry{name: "opt/bitnami/redis/.spdx-redis.spdx", body: bitnamiSPDX},
			[]string{"/opt/bitnami/redis/.spdx-redis.spdx bitnami:redis@7.0.5-1"}},
		{"library files of no interest", entry{name: "app/data.json", body: `{}`}, nil},
		{"script", entry{name: "usr/bin/run", body: "#!/bin/sh\n", mode: 0o755}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := analyze(t, newEngine(t, engine.Options{}), tt.in)
			if diff := cmp.Diff(tt.want, names(a)); diff != "" {
				t.Error(diff)
			}
			if len(a.Notices) > 0 {
				t.Errorf("notices: %v", a.Notices)
			}
		})
	}
}

const bitnamiSPDX = `{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","creationInfo":{"created":"2023-01-01T00:00:00Z","creators":["Organization: VMware"]},
"name":"SPDX document for Redis 7.0.5-1","dataLicense":"CC0-1.0","documentDescribes":["SPDXRef-redis"],"documentNamespace":"redis-7.0.5-1",
"packages":[{"SPDXID":"SPDXRef-redis","name":"redis","versionInfo":"7.0.5-1","downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"BSD-3-Clause","licenseDeclared":"BSD-3-Clause",
"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceLocator":"pkg:bitnami/redis@7.0.5-1?arch=amd64","referenceType":"purl"}]}]}`

const wolfiSPDX = `{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","creationInfo":{"created":"2023-01-01T00:00:00Z","creators":["Tool: apko"]},
"name":"apk","dataLicense":"CC0-1.0","documentNamespace":"https://spdx.org/spdxdocs/apk","documentDescribes":["SPDXRef-Package-git"],
"packages":[{"SPDXID":"SPDXRef-Package-git","name":"git","versionInfo":"2.45.0-r0","downloadLocation":"NOASSERTION","filesAnalyzed":false,
"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceLocator":"pkg:apk/wolfi/git@2.45.0-r0?arch=x86_64","referenceType":"purl"}]}]}`

func TestSBOMOfDistribution(t *testing.T) {
	sbom := entry{name: "var/lib/db/sbom/git-2.45.0-r0.spdx.json", body: wolfiSPDX}
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{"alone", []entry{{name: "etc/os-release", body: "ID=wolfi\nVERSION_ID=20230201\n"}, sbom}, []string{"git@2.45.0-r0 in 0"}},
		{"beside the database, which knows the source", []entry{
			{name: "etc/os-release", body: "ID=wolfi\nVERSION_ID=20230201\n"}, sbom,
			{name: "usr/lib/apk/db/installed", body: "P:git\nV:2.45.0-r0\nA:x86_64\no:git-source\n"},
		}, []string{"git@2.45.0-r0 in 0"}},
		{"of another distribution", []entry{{name: "etc/alpine-release", body: "3.20.1\n"}, sbom}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := engine.Merge([]*tidewaiter.Analysis{analyze(t, newEngine(t, engine.Options{}), tt.entries...)})
			if diff := cmp.Diff(tt.want, installed(c)); diff != "" {
				t.Error(diff)
			}
			if len(tt.entries) == 3 && c.Installed[0].Package.Source != "git-source" {
				t.Error("the SBOM's package was preferred to the database's")
			}
		})
	}
}

// buildGo builds a program that uses a module, and returns the executable.
func buildGo(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.com/app\n\ngo 1.24\n\nrequire example.com/dep v1.2.3\n\nreplace example.com/dep v1.2.3 => ./dep\n",
		"main.go":     "package main\n\nimport \"example.com/dep\"\n\nfunc main() { dep.Run() }\n",
		"dep/go.mod":  "module example.com/dep\n\ngo 1.24\n",
		"dep/main.go": "package dep\n\nfunc Run() { println(1) }\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-ldflags=-s -w -X main.version=9.8.7", "-o", "app", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOOS=linux", "GOARCH=amd64", "GOWORK=off", "GOEXPERIMENT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGoBinary(t *testing.T) {
	program := buildGo(t)
	for _, memory := range []int64{64 << 20, 64 << 10} { // in memory, and spooled
		e := newEngine(t, engine.Options{Secrets: true, Limits: engine.Limits{Memory: memory}})
		a := analyze(t, e,
			entry{name: "usr/local/bin/app", body: program, mode: 0o755},
			entry{name: "usr/local/bin/again", kind: '1', link: "usr/local/bin/app", mode: 0o755},
			entry{name: "usr/local/bin/notelf", body: "\x7fELF and nothing more", mode: 0o755},
			entry{name: "usr/local/share/app", body: program}, // not executable
		)
		var paths []string
		for _, inv := range a.Inventories {
			paths = append(paths, inv.Path)
			var stdlib, main bool
			for _, p := range inv.Packages {
				stdlib = stdlib || p.Name == "stdlib" && strings.HasPrefix(p.Version, "v1.")
				main = main || p.Name == "example.com/app" && p.Version == "9.8.7"
			}
			if !stdlib || !main {
				t.Errorf("%s: %+v", inv.Path, inv.Packages)
			}
		}
		if diff := cmp.Diff([]string{"/usr/local/bin/again", "/usr/local/bin/app"}, paths); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSameFileTwice(t *testing.T) {
	war := func(inner map[string]string) entry { return entry{name: "x.war", body: zipped(t, inner)} }
	a := analyze(t, newEngine(t, engine.Options{}),
		node("a", "1.0.0"), node("a", "2.0.0"),
		war(map[string]string{"a.jar": zipped(t, map[string]string{"META-INF/maven/g/a/pom.properties": "groupId=g\nartifactId=a\nversion=1\n"})}),
		war(map[string]string{"index.html": ""}),
	)
	if diff := cmp.Diff([]string{"/app/node_modules/a/package.json node-pkg:a@2.0.0"}, names(a)); diff != "" {
		t.Error(diff)
	}
}
