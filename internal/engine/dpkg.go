package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/textproto"
	"path"
	"slices"
	"strings"

	debversion "github.com/knqyf263/go-deb-version"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const typeDpkgFiles = "dpkg-files"

// The classes of repository a package can come from, as Trivy names them. A distribution's advisories do not describe
// third-party packages.
const (
	official   = "official"
	thirdParty = "third-party"
)

// parseDpkgStatus reads dpkg's database, or one package's part of it in a distroless image.
func parseDpkgStatus(ctx context.Context, e *Engine, f *file, out *found) error {
	stanzas := bufio.NewScanner(f.reader(ctx))
	stanzas.Buffer(nil, 1<<20)
	stanzas.Split(splitStanzas)
	var pkgs []tidewaiter.Package
	for !e.tooMany(pkgs) && stanzas.Scan() {
		h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(stanzas.Bytes()))).ReadMIMEHeader()
		if err != nil && !errors.Is(err, io.EOF) {
			continue // one broken stanza costs one package, as in dpkg
		}
		if p, ok := dpkgPackage(h); ok {
			pkgs = append(pkgs, p)
		}
	}
	if err := stanzas.Err(); err != nil {
		return err
	}
	out.list(f.path, typeDpkg, pkgs)
	return nil
}

func splitStanzas(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.Index(data, []byte("\n\n")); i >= 0 {
		return i + 2, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// dpkgPackage makes a package of a stanza; false for one that is not installed or has no proper version.
func dpkgPackage(h textproto.MIMEHeader) (tidewaiter.Package, bool) {
	for word := range strings.FieldsSeq(h.Get("Status")) {
		if word == "deinstall" || word == "purge" {
			return tidewaiter.Package{}, false
		}
	}
	p := tidewaiter.Package{
		Ecosystem:  tidewaiter.EcosystemDeb,
		Type:       typeDpkg,
		Name:       h.Get("Package"),
		Arch:       h.Get("Architecture"),
		Maintainer: h.Get("Maintainer"),
		Repository: official,
	}
	if isThirdParty(p.Maintainer) {
		p.Repository = thirdParty
	}
	full := h.Get("Version")
	name, source := p.Name, full
	if s := h.Get("Source"); s != "" { // "name" or "name (version)"
		before, rest, _ := strings.Cut(s, "(")
		name = strings.TrimSpace(before)
		if v, _, _ := strings.Cut(rest, ")"); strings.TrimSpace(v) != "" {
			source = strings.TrimSpace(v)
		}
	}
	p.Source = name
	v, err := debversion.NewVersion(full)
	sv, serr := debversion.NewVersion(source)
	if p.Name == "" || full == "" || err != nil || serr != nil {
		return tidewaiter.Package{}, false
	}
	p.Epoch, p.Version, p.Release = v.Epoch(), v.Version(), v.Revision()
	p.SourceEpoch, p.SourceVer, p.SourceRel = sv.Epoch(), sv.Version(), sv.Revision()
	return p, true
}

// thirdPartyMaintainers are what the Maintainer field of packages from other repositories than the distribution's holds;
// dpkg records no vendor. Trivy: pkg/fanal/analyzer/pkg/dpkg knows the same.
var thirdPartyMaintainers = []string{
	"support@docker.com", "@nvidia.com", "Google Cloud CLI Authors", "sapmachine@sap.com", "@hashicorp.com", "@microsoft.com",
	"@mongodb.com", "developers@lists.mariadb.org", "dev@couchdb.apache.org", "info@elastic.co",
	"nginx-packaging@f5.com", "@konghq.com", "@cloudflare.com",
	"support@influxdb.com", "support@gitlab.com", "contact@grafana.com", "@datadoghq.com",
	"@nodesource.com", "info@tailscale.com", "@openrobotics.org", "@osrfoundation.org",
}

func isThirdParty(maintainer string) bool {
	return maintainer == "GitHub" || maintainer == "HashiCorp" ||
		slices.ContainsFunc(thirdPartyMaintainers, func(s string) bool { return strings.Contains(maintainer, s) })
}

// parseDpkgMD5 reads which files a package installed: "digest  usr/bin/x" a line.
func parseDpkgMD5(ctx context.Context, e *Engine, f *file, out *found) error {
	return eachLine(ctx, f, func(line string) {
		if _, name, ok := strings.Cut(line, "  "); ok {
			listFile(&out.dpkgFiles, e.hash(path.Clean("/"+name)))
			out.dpkgPackage = strings.TrimSuffix(path.Base(f.path), ".md5sums")
		}
	})
}

// parseDpkgList reads the same of the list that has links and generated files too: "/usr/bin/x" a line.
func parseDpkgList(ctx context.Context, e *Engine, f *file, out *found) error {
	return eachLine(ctx, f, func(line string) {
		if strings.HasPrefix(line, "/") && couldBeInventory(line) {
			listFile(&out.dpkgFiles, e.hash(path.Clean(line)))
			out.dpkgPackage = strings.TrimSuffix(path.Base(f.path), ".list")
		}
	})
}

// couldBeInventory tells whether a path is worth remembering as owned: any file may be executable, but documentation,
// headers and translations are not.
func couldBeInventory(p string) bool {
	for _, dir := range []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/include/", "/usr/share/zoneinfo/"} {
		if strings.HasPrefix(p, dir) {
			return false
		}
	}
	return true
}

// eachLine calls f for every line of a file; lines of more than 1 MiB are an error.
func eachLine(ctx context.Context, f *file, do func(line string)) error {
	lines := bufio.NewScanner(f.reader(ctx))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}

// pythonWithoutOwner are files of Debian's Python 2.7 packages that distroless images keep without the lists that would
// say so.
var pythonWithoutOwner = []string{
	"/usr/lib/python2.7/argparse.egg-info",
	"/usr/lib/python2.7/lib-dynload/Python-2.7.egg-info",
	"/usr/lib/python2.7/wsgiref.egg-info",
}

// settleDebian puts together what several files say of a Debian package: its licences, and the files it owns unless it
// comes from a third party.
func (d *document) settleDebian() {
	for _, p := range pythonWithoutOwner {
		d.owned[d.engine.hash(p)] = struct{}{}
	}
	for _, invs := range d.inventories {
		for _, inv := range invs {
			if inv.Type != typeDpkg {
				continue
			}
			for i := range inv.Packages {
				p := &inv.Packages[i]
				p.Licenses = d.licenses[p.Name]
				if p.Repository == thirdParty {
					continue
				}
				files, ok := d.dpkgFiles[p.Name]
				if !ok {
					files = d.dpkgFiles[p.Name+":"+p.Arch]
				}
				for _, h := range files {
					d.owned[h] = struct{}{}
				}
			}
		}
	}
}
