package engine_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rpmdb "github.com/knqyf263/go-rpmdb/pkg"
	_ "modernc.org/sqlite"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// rpmTag is one entry of a package header a test writes: a string, a list of strings, or 32-bit numbers.
type rpmTag struct {
	tag   int32
	value any
}

// rpmHeader encodes a header as rpm stores it, without the region the signatures are for.
func rpmHeader(t testing.TB, tags ...rpmTag) []byte {
	t.Helper()
	const (
		int32Type, stringType, arrayType = 4, 6, 8
	)
	var index, data bytes.Buffer
	put := func(values ...uint32) {
		for _, v := range values {
			_ = binary.Write(&index, binary.BigEndian, v)
		}
	}
	for _, tag := range tags {
		switch v := tag.value.(type) {
		case string:
			put(uint32(tag.tag), stringType, uint32(data.Len()), 1)
			data.WriteString(v + "\x00")
		case []string:
			put(uint32(tag.tag), arrayType, uint32(data.Len()), uint32(len(v)))
			data.WriteString(strings.Join(v, "\x00") + "\x00")
		case []int32:
			for data.Len()%4 != 0 {
				data.WriteByte(0)
			}
			put(uint32(tag.tag), int32Type, uint32(data.Len()), uint32(len(v)))
			_ = binary.Write(&data, binary.BigEndian, v)
		default:
			t.Fatalf("%T", v)
		}
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	b = binary.BigEndian.AppendUint32(b, uint32(data.Len()))
	return append(append(b, index.Bytes()...), data.Bytes()...)
}

// rpmSQLite writes an rpmdb.sqlite.
func rpmSQLite(t testing.TB, schema string, headers ...[]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(schema); err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		if _, err := db.Exec(`INSERT INTO Packages (blob) VALUES (?)`, h); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const rpmSchema = `CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)`

func bashHeader(t testing.TB) []byte {
	return rpmHeader(t,
		rpmTag{1000, "bash"}, rpmTag{1001, "5.1.8"}, rpmTag{1002, "9.el9"}, rpmTag{1003, []int32{2}}, rpmTag{1011, "Red Hat, Inc."},
		rpmTag{1014, "GPLv3+"}, rpmTag{1022, "x86_64"}, rpmTag{1044, "bash-5.1.8-9.el9.src.rpm"}, rpmTag{5096, "(none)"},
		rpmTag{1116, []int32{0, 1}}, rpmTag{1117, []string{"bash", "package.json"}}, rpmTag{1118, []string{"/usr/bin/", "/usr/lib/bash/"}},
	)
}

func TestRPMSQLite(t *testing.T) {
	epel := rpmHeader(t, rpmTag{1000, "htop"}, rpmTag{1001, "3.2.1"}, rpmTag{1002, "1.el9"}, rpmTag{1011, "Fedora EPEL"},
		rpmTag{1022, "x86_64"}, rpmTag{1044, "htop-3.2.1-1.el9.src.rpm"}, rpmTag{5096, "tools:1:2:c:x86_64"})
	a := analyze(t, newEngine(t, engine.Options{}),
		entry{name: "etc/redhat-release", body: "Red Hat Enterprise Linux release 9.4 (Plow)\n"},
		entry{name: "root/buildinfo/content_manifests/ubi9.json", body: `{"content_sets":["rhel-9-for-x86_64-baseos-rpms"]}`},
		entry{name: "var/lib/rpm/rpmdb.sqlite", body: rpmSQLite(t, rpmSchema, bashHeader(t), epel, []byte("not a header"))},
		entry{name: "usr/lib/bash/package.json", body: `{"name":"owned","version":"1.0.0"}`},
	)
	c := engine.Merge([]*tidewaiter.Analysis{a})
	rhel := tidewaiter.Distribution{Family: "redhat", Release: "9.4", ContentSets: []string{"rhel-9-for-x86_64-baseos-rpms"}}
	want := []tidewaiter.Installed{
		{Package: &tidewaiter.Package{
			Distribution: rhel, Ecosystem: "rpm", Type: "rpm", Name: "bash", Epoch: 2, Version: "5.1.8", Release: "9.el9", Arch: "x86_64",
			Source: "bash", SourceEpoch: 2, SourceVer: "5.1.8", SourceRel: "9.el9", Repository: "official", Maintainer: "Red Hat, Inc.",
			Licenses: []string{"GPLv3+"}, PURL: "pkg:rpm/redhat/bash@5.1.8-9.el9?arch=x86_64&distro=redhat-9.4&epoch=2",
		}},
		{Package: &tidewaiter.Package{
			Distribution: rhel, Ecosystem: "rpm", Type: "rpm", Name: "htop", Version: "3.2.1", Release: "1.el9", Arch: "x86_64",
			Source: "htop", SourceVer: "3.2.1", SourceRel: "1.el9", Repository: "third-party", Maintainer: "Fedora EPEL",
			Modularity: "tools:1:2:c:x86_64",
			PURL:       "pkg:rpm/redhat/htop@3.2.1-1.el9?arch=x86_64&distro=redhat-9.4&modularitylabel=tools:1:2:c:x86_64",
		}},
	}
	if diff := cmp.Diff(want, c.Installed); diff != "" {
		t.Error(diff)
	}
}

func TestRPMSQLiteHostile(t *testing.T) {
	endless := `CREATE TABLE t (x); CREATE VIEW Packages AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT n AS blob FROM r`
	for name, body := range map[string]string{
		"view":      rpmSQLite(t, endless),
		"no table":  rpmSQLite(t, `CREATE TABLE t (x)`),
		"cut":       rpmSQLite(t, rpmSchema, bashHeader(t))[:5000],
		"no sqlite": "SQLite format 3\x00" + strings.Repeat("x", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			a := analyze(t, newEngine(t, engine.Options{}), entry{name: "var/lib/rpm/rpmdb.sqlite", body: body})
			if len(a.Notices) != 1 || a.Notices[0].Path != "/var/lib/rpm/rpmdb.sqlite" {
				t.Errorf("notices: %v", a.Notices)
			}
		})
	}
}

func TestRPMManifest(t *testing.T) {
	line := "mariner-release\t2.0-36.cm2\t1680000000\t1680000000\tMicrosoft Corporation\t(none)\t580\tnoarch\t0\tmariner-release-2.0-36.cm2.src.rpm\n"
	a := analyze(t, newEngine(t, engine.Options{}), entry{name: "var/lib/rpmmanifest/container-manifest-2", body: line})
	if diff := cmp.Diff([]string{"/var/lib/rpmmanifest/container-manifest-2 rpm:mariner-release@2.0-36.cm2"}, names(a)); diff != "" {
		t.Error(diff)
	}
}

// rpmSamples returns the databases of real systems that come with the module go-rpmdb.
func rpmSamples(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "pkg", "testdata")
}

// The readers agree with go-rpmdb on databases of real systems, in all three formats.
func TestRPMDatabases(t *testing.T) {
	for _, name := range []string{
		"centos5-plain/Packages", "ubi8-s390x/Packages", "centos8-modularitylabel/Packages", "libuuid/Packages",
		"sle15-bci/Packages.db", "cbl-mariner-2.0/rpmdb.sqlite",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(rpmSamples(t), name)
			db, err := rpmdb.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			list, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			files := map[string]bool{}
			for _, p := range list {
				want = append(want, fmt.Sprintf("%s %d:%s-%s %s %s %s %s", p.Name, p.EpochNum(), p.Version, p.Release, p.Vendor, p.License, p.Modularitylabel, p.SourceRpm))
				names, err := p.InstalledFileNames()
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range names {
					files[n] = true
				}
			}
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := analyze(t, newEngine(t, engine.Options{}), entry{name: "var/lib/rpm/" + filepath.Base(name), body: string(body)})
			var got []string
			for _, p := range a.Inventories[0].Packages {
				source, license := "", strings.Join(p.Licenses, "")
				if p.Source != "" {
					source = p.Source + "-" + p.SourceVer + "-" + p.SourceRel + ".src.rpm"
				}
				got = append(got, fmt.Sprintf("%s %d:%s-%s %s %s %s %s", p.Name, p.Epoch, p.Version, p.Release, p.Maintainer, license, p.Modularity, source))
			}
			slices.Sort(want)
			slices.Sort(got)
			for i := range want {
				want[i] = strings.ReplaceAll(strings.ReplaceAll(want[i], "(none)", ""), ".nosrc.rpm", ".src.rpm")
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if len(got) == 0 || len(files) == 0 {
				t.Error("nothing to compare")
			}
		})
	}
}

// Databases changed at a byte cost at most themselves.
func FuzzRPM(f *testing.F) {
	dir := rpmSamples(f)
	for _, name := range []string{"libuuid/Packages", "sle15-bci/Packages.db"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		for _, at := range []int{4, 12, 16, 20, 25, 32, 4096 + 20, 4096 + 25, 8192 + 16, 8192 + 22} {
			f.Add(b[:min(len(b), 64<<10)], at, byte(0xff))
			f.Add(b[:min(len(b), 64<<10)], at, byte(1))
		}
	}
	f.Add([]byte(rpmSQLite(f, rpmSchema, bashHeader(f))), 100, byte(7))
	e := newEngine(f, engine.Options{})
	f.Fuzz(func(t *testing.T, b []byte, at int, value byte) {
		if len(b) == 0 || len(b) > 1<<20 {
			return
		}
		b = slices.Clone(b)
		b[max(at, -at, 0)%len(b)] = value
		for _, name := range []string{"Packages", "Packages.db", "rpmdb.sqlite"} {
			analyze(t, e, entry{name: "var/lib/rpm/" + name, body: string(b)})
		}
	})
}
