package emulator

import (
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// layer is a packed layer of the fleet.
type layer struct {
	digest, diffID, by string
	data               []byte
}

// bases is how many of the fleet's layers are lower layers; the rest go on top of those.
const bases = 2

// makeLayers packs all layers of the fleet: two distributions, and layers with a few packages of a language each.
func makeLayers(o Options) ([]layer, error) {
	all := []struct {
		by      string
		entries []samples.Entry
	}{{"debian bookworm", debian()}, {"alpine 3.19", alpine()}}
	for i := range o.Layers {
		all = append(all, struct {
			by      string
			entries []samples.Entry
		}{fmt.Sprintf("npm ci # %d", i), npm(o.Seed, i)})
	}
	var list []layer
	for _, l := range all {
		made, err := samples.NewLayer(samples.Gzip, l.entries...)
		if err != nil {
			return nil, fmt.Errorf("pack layer %s: %w", l.by, err)
		}
		list = append(list, layer{digest: made.Digest, diffID: made.DiffID, by: l.by, data: made.Data})
	}
	return list, nil
}

func debian() []samples.Entry {
	var status strings.Builder
	for _, p := range [][2]string{{"libc6", "2.36-9+deb12u4"}, {"libssl3", "3.0.11-1~deb12u2"}, {"zlib1g", "1:1.2.13.dfsg-1"}} {
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n"+
			"Maintainer: Debian Maintainers <debian-devel@lists.debian.org>\nDescription: %s\n\n", p[0], p[1], p[0])
	}
	return []samples.Entry{
		samples.File("etc/debian_version", "12.5\n"),
		samples.File("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"),
		samples.File("var/lib/dpkg/status", status.String()),
	}
}

func alpine() []samples.Entry {
	var installed strings.Builder
	for _, p := range [][2]string{{"musl", "1.2.4_git20230717-r4"}, {"busybox", "1.36.1-r15"}, {"zlib", "1.3.1-r0"}} {
		fmt.Fprintf(&installed, "P:%s\nV:%s\nA:x86_64\nS:4096\nI:8192\nT:%s\nL:MIT\no:%s\n\n", p[0], p[1], p[0], p[0])
	}
	return []samples.Entry{
		samples.File("etc/alpine-release", "3.19.1\n"),
		samples.File("etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\n"),
		samples.File("lib/apk/db/installed", installed.String()),
	}
}

// npm is a layer with two packages of Node.js, at versions that follow from its number.
func npm(seed uint64, i int) []samples.Entry {
	pkg := func(name, version string) samples.Entry {
		return samples.File("srv/node_modules/"+name+"/package.json",
			fmt.Sprintf(`{"name":%q,"version":%q,"license":"MIT"}`+"\n", name, version))
	}
	return []samples.Entry{
		pkg("lodash", fmt.Sprintf("4.17.%d", i%22)),
		pkg("minimist", fmt.Sprintf("1.2.%d", i%9)),
		samples.File("srv/release", fmt.Sprintf("%d-%d\n", seed, i)),
	}
}
