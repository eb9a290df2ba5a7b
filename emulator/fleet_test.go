package emulator_test

import (
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// Whatever was moved, added or deleted, and however large the pages are, a paged listing holds every tag once.
func TestPagesHoldEveryTagOnce(t *testing.T) {
	for _, name := range []emulator.Kind{emulator.OCI, emulator.Harbor, emulator.DTR} {
		t.Run(string(name), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				tags := rapid.IntRange(1, 40).Draw(rt, "tags")
				e, err := emulator.New(emulator.Options{Kind: name, Repositories: 1, Tags: tags, Anonymous: true, Layers: 1, Indexes: rapid.IntRange(1, 9).Draw(rt, "indexes")})
				if err != nil {
					rt.Fatal(err)
				}
				defer func() { _ = e.Close() }()
				repository := e.Repositories()[0]
				want := map[string]bool{}
				for i := range tags {
					want["1.1000."+strconv.Itoa(100+i)] = true
				}
				if tags > 1 {
					delete(want, "1.1000."+strconv.Itoa(99+tags))
					want["latest"] = true
				}
				for range rapid.IntRange(0, 6).Draw(rt, "changes") {
					tag := rapid.SampledFrom([]string{"1.1000.100", "1.1000.101", "latest", "a", "z", "1.1000.105"}).Draw(rt, "tag")
					if want[tag] && rapid.Bool().Draw(rt, "delete") {
						err = e.Delete(repository, tag)
						delete(want, tag)
					} else {
						_, err = e.Move(repository, tag)
						want[tag] = true
					}
					if err != nil {
						rt.Fatal(err)
					}
				}
				size := rapid.IntRange(1, 50).Draw(rt, "size")
				got := pages(t, e, name, repository, size)
				names := make([]string, 0, len(want))
				for tag := range want {
					names = append(names, tag)
				}
				slices.Sort(names)
				slices.Sort(got)
				if !slices.Equal(names, got) || e.Tags(repository) != len(want) {
					rt.Fatalf("%d a page: %v, want %v", size, got, names)
				}
			})
		})
	}
}

// pages lists the names of one repository's tags by the kind's own API.
func pages(t *testing.T, e *emulator.Emulator, name emulator.Kind, repository string, size int) (all []string) {
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	defer c.http.CloseIdleConnections()
	n := strconv.Itoa(size)
	switch name {
	case emulator.DTR:
		for at := ""; ; {
			var tags []struct{ Name string }
			a := c.json(e.URL+"/api/v0/repositories/"+repository+"/tags?pageSize="+n+"&pageStart="+at, &tags)
			for _, x := range tags {
				all = append(all, x.Name)
			}
			if at = a.header.Get("X-Next-Page-Start"); at == "" {
				return all
			}
		}
	case emulator.Harbor:
		for at := e.URL + "/api/v2.0/projects/acme/repositories/app-00000/artifacts?page_size=" + n; at != ""; {
			var artifacts []struct{ Tags []struct{ Name string } }
			a := c.json(at, &artifacts)
			for _, x := range artifacts {
				for _, tag := range x.Tags {
					all = append(all, tag.Name)
				}
			}
			at = a.next(t, at)
		}
	default:
		for at := e.URL + "/v2/" + repository + "/tags/list?n=" + n; at != ""; {
			var doc struct{ Tags []string }
			a := c.json(at, &doc)
			all = append(all, doc.Tags...)
			at = a.next(t, at)
		}
	}
	return all
}

func TestAMillionTagsNeedNoMemory(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.Harbor, Repositories: 1000, Tags: 1000})
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100 {
		var artifacts []struct{ Digest string }
		c.json(e.URL+"/api/v2.0/projects/acme/repositories/"+url.PathEscape(url.PathEscape("app-00"+strconv.Itoa(100+4*i)))+"/artifacts?page_size=100&page="+strconv.Itoa(i%9+1), &artifacts)
		if len(artifacts) != 100 || artifacts[0].Digest == artifacts[1].Digest {
			t.Fatalf("%d artifacts", len(artifacts))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d bytes more after 10,000 tags were listed", grown)
	}
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for _, o := range []emulator.Options{
		{Kind: "cvs"}, {Kind: emulator.OCI, Repositories: -1}, {Kind: emulator.OCI, Tags: 9_000_000}, {Kind: emulator.OCI, Layers: 5000},
		{Kind: emulator.Artifactory, Layout: "sideways"}, {Kind: emulator.OCI, Listen: "nowhere"}, {Kind: emulator.GAR, Login: emulator.Login{ServiceAccountJSON: []byte("{}")}},
	} {
		if e, err := emulator.New(o); err == nil {
			_ = e.Close()
			t.Errorf("%+v was taken", o)
		}
	}
	e := start(t, emulator.Options{Kind: emulator.OCI})
	if _, err := e.Move("nothing/here", "latest"); err == nil {
		t.Error("an unknown repository was changed")
	}
	if err := e.Delete(e.Repositories()[0], "nothing"); err == nil {
		t.Error("an unknown tag was deleted")
	}
}
