package samples

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// rockyRelease is what identifies the distribution.
func rockyRelease() []Entry {
	return []Entry{
		Dir("etc"),
		File("etc/rocky-release", "Rocky Linux release 9.3 (Blue Onyx)\n"),
		Symlink("etc/redhat-release", "rocky-release"),
		File("usr/lib/os-release", `NAME="Rocky Linux"
VERSION="9.3 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.3"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.3 (Blue Onyx)"
`),
		Symlink("etc/os-release", "../usr/lib/os-release"),
	}
}

// rpms makes the rpm database of the sample packages.
func rpms(ctx context.Context) (packages, error) {
	rows, err := table("rocky-9.txt")
	if err != nil {
		return packages{}, err
	}
	var p packages
	var list []RPM
	for _, r := range rows {
		rpm := RPM{
			Name: r.col(0), Epoch: -1, Version: r.col(2), Release: r.col(3), Arch: r.col(4), SourceRPM: r.col(5),
			Module: r.col(6), License: r.col(7), Vendor: "Rocky Enterprise Software Foundation",
			Files: []string{"/usr/share/doc/" + r.col(0) + "/README", "/usr/share/licenses/" + r.col(0) + "/LICENSE"},
		}
		version := rpm.Version + "-" + rpm.Release
		if e := r.col(1); e != "" {
			if rpm.Epoch, err = strconv.Atoi(e); err != nil {
				return packages{}, fmt.Errorf("epoch of %s: %w", rpm.Name, err)
			}
			version = e + ":" + version
		}
		list = append(list, rpm)
		p.declared = append(p.declared, Package{tidewaiter.EcosystemRPM, rpm.Name, version})
	}
	db, err := RPMDatabase(ctx, list...)
	if err != nil {
		return packages{}, err
	}
	p.entries = []Entry{Dir("var/lib/rpm"), Bytes("var/lib/rpm/rpmdb.sqlite", db)}
	return p, nil
}
