package samples

import (
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Package is an installed package an analysis of a sample has to find.
type Package struct {
	Ecosystem tidewaiter.Ecosystem
	Name      string
	Version   string // in full, as the package manager shows it
}

// packages is the files of a package manager's database and what they declare.
type packages struct {
	entries  []Entry
	declared []Package
}

// debianRelease is what identifies the distribution.
func debianRelease() []Entry {
	return []Entry{
		Dir("etc"),
		File("etc/debian_version", "12.5\n"),
		File("usr/lib/os-release", `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
`),
		Symlink("etc/os-release", "../usr/lib/os-release"),
	}
}

// dpkg makes the database of the packages in the given sets, with the files each owns where owned names some.
func dpkg(owned map[string][]string, names ...string) (packages, error) {
	rows, err := sets("debian-12.txt", names...)
	if err != nil {
		return packages{}, err
	}
	p := packages{entries: []Entry{Dir("var/lib/dpkg"), Dir("var/lib/dpkg/info")}}
	var status strings.Builder
	for _, r := range rows {
		status.WriteString(stanza(r) + "\n")
		p.declare(r)
		p.entries = append(p.entries, dpkgInfo(r, owned[r.col(1)])...)
	}
	p.entries = append(p.entries, File("var/lib/dpkg/status", status.String()))
	return p, nil
}

// dpkgByFile makes the database in the form of images without a package manager: one file a package.
func dpkgByFile(names ...string) (packages, error) {
	rows, err := sets("debian-12.txt", names...)
	if err != nil {
		return packages{}, err
	}
	p := packages{entries: []Entry{Dir("var/lib/dpkg/status.d")}}
	for _, r := range rows {
		p.entries = append(p.entries, File("var/lib/dpkg/status.d/"+r.col(1), stanza(r)))
		p.declare(r)
	}
	return p, nil
}

func (p *packages) declare(r row) {
	p.declared = append(p.declared, Package{tidewaiter.EcosystemDeb, r.col(1), r.col(2)})
}

// stanza is a package's paragraph in dpkg's status file.
func stanza(r row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nPriority: required\nSection: %s\n", r.col(1), r.col(4))
	fmt.Fprintf(&b, "Maintainer: %s\nArchitecture: %s\n", debianMaintainer(r.col(1)), r.col(5))
	if r.col(3) != "" {
		fmt.Fprintf(&b, "Source: %s\n", r.col(3))
	}
	fmt.Fprintf(&b, "Version: %s\nDescription: sample of %s\n", r.col(2), r.col(1))
	return b.String()
}

// debianMaintainer is who Debian names for a package: scanners tell packages of other vendors by this field.
func debianMaintainer(name string) string {
	if strings.HasPrefix(name, "libc") {
		return "GNU Libc Maintainers <debian-glibc@lists.debian.org>"
	}
	return "Debian Maintainers <debian-devel@lists.debian.org>"
}

// dpkgInfo is what dpkg keeps of a package's files.
func dpkgInfo(r row, owned []string) []Entry {
	name := r.col(1)
	if r.col(5) != "all" && strings.HasPrefix(name, "lib") {
		name += ":" + r.col(5)
	}
	list := []string{"/.", "/usr", "/usr/share", "/usr/share/doc", "/usr/share/doc/" + r.col(1)}
	list = append(list, owned...)
	return []Entry{File("var/lib/dpkg/info/"+name+".list", strings.Join(list, "\n")+"\n")}
}
