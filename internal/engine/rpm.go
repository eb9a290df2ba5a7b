package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The three databases rpm has had are read by readers of our own: they work on the file in memory, bound what they
// follow and allocate, and fail in the goroutine that called them. Each yields package headers.

// parseBerkeleyDB reads the database of RHEL up to 8 and its kin.
func parseBerkeleyDB(ctx context.Context, e *Engine, f *file, out *found) error {
	return listRPM(e, f, out, func(yield func([]byte) error) error { return eachBerkeleyValue(ctx, f.reader(ctx), f.size, yield) })
}

// parseNDB reads the database of SUSE.
func parseNDB(ctx context.Context, e *Engine, f *file, out *found) error {
	return listRPM(e, f, out, func(yield func([]byte) error) error { return eachNDBValue(ctx, f.reader(ctx), f.size, yield) })
}

// parseRPMSQLite reads the database of RHEL 9, Fedora, Amazon Linux 2023 and later.
func parseRPMSQLite(ctx context.Context, e *Engine, f *file, out *found) error {
	return listRPM(e, f, out, func(yield func([]byte) error) error { return eachSQLiteValue(ctx, f.spool, yield) })
}

// listRPM makes packages of headers. One broken header costs its package; a database of nothing else is an error.
func listRPM(e *Engine, f *file, out *found, each func(yield func([]byte) error) error) error {
	var pkgs []tidewaiter.Package
	var broken error
	err := each(func(header []byte) error {
		if e.tooMany(pkgs) {
			return nil
		}
		h, err := parseRPMHeader(header)
		if err != nil {
			broken = err
			return nil //nolint:nilerr // the others are read on
		}
		p := h.pkg()
		if p.Repository == official {
			for file := range h.files() {
				listFile(&out.owned, e.hash(path.Join("/", file)))
			}
		}
		pkgs = append(pkgs, p)
		return nil
	})
	if err == nil && len(pkgs) == 0 {
		err = broken
	}
	if err != nil {
		return err
	}
	out.list(f.path, typeRPM, pkgs)
	return nil
}

// pkg makes a package of a header as Trivy does: the source package gets the binary package's epoch, because the name of
// the source rpm does not tell its own.
func (h *rpmHeader) pkg() tidewaiter.Package {
	p := tidewaiter.Package{
		Ecosystem: tidewaiter.EcosystemRPM, Type: typeRPM,
		Name: h.name, Epoch: h.epoch, Version: h.version, Release: h.release, Arch: h.arch,
		Modularity: h.modularity, Maintainer: h.vendor, Repository: thirdParty,
		SourceEpoch: h.epoch,
	}
	if p.Arch == "" {
		p.Arch = "None"
	}
	if h.license != "" {
		p.Licenses = []string{clip(h.license, 1000)}
	}
	if name, version, release, err := splitSourceRPM(h.source); err == nil {
		p.Source, p.SourceVer, p.SourceRel = name, version, release
	}
	if byVendor(h.vendor, h.release) {
		p.Repository = official
	}
	return p
}

// rpmVendors are what the Vendor tag of the distributions' own packages begins with. Trivy: pkg/fanal/analyzer/pkg/rpm
// knows the same.
var rpmVendors = []string{
	"Amazon Linux", "Amazon.com", "CentOS", "Fedora Project", "Oracle America", "Red Hat", "AlmaLinux", "CloudLinux",
	"VMware", "SUSE", "openSUSE", "Microsoft Corporation", "Rocky",
}

func byVendor(vendor, release string) bool {
	if vendor == "" {
		return strings.Contains(release, "amzn") // Amazon's own often have no vendor
	}
	for _, v := range rpmVendors {
		if strings.HasPrefix(vendor, v) {
			return true
		}
	}
	return false
}

var errSourceRPM = errors.New("not name-version-release.arch.rpm")

// splitSourceRPM takes bash-5.1.8-6.el9.src.rpm apart.
func splitSourceRPM(file string) (name, version, release string, err error) {
	s := strings.TrimSuffix(file, ".rpm")
	arch := strings.LastIndexByte(s, '.')
	if arch < 0 {
		return "", "", "", errSourceRPM
	}
	s = s[:arch]
	r := strings.LastIndexByte(s, '-')
	if r < 0 {
		return "", "", "", errSourceRPM
	}
	v := strings.LastIndexByte(s[:r], '-')
	if v < 0 {
		return "", "", "", errSourceRPM
	}
	return s[:v], s[v+1 : r], s[r+1:], nil
}

// parseRPMManifest reads what distroless images of Azure Linux keep instead of a database: a package a line, ten fields
// between tabs: name, version-release, install time, build time, vendor, (none), size, arch, epoch, source rpm.
func parseRPMManifest(ctx context.Context, e *Engine, f *file, out *found) error {
	var pkgs []tidewaiter.Package
	var bad error
	err := eachLine(ctx, f, func(line string) {
		if line == "" || bad != nil || e.tooMany(pkgs) {
			return
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 10 {
			bad = fmt.Errorf("a line of %d fields", len(fields))
			return
		}
		version, release, ok := strings.Cut(fields[1], "-")
		epoch, epochErr := strconv.Atoi(fields[8])
		source, sourceVersion, sourceRelease, sourceErr := splitSourceRPM(fields[9])
		if bad = errors.Join(epochErr, sourceErr); bad == nil && !ok {
			bad = errors.New("a version without release")
		}
		pkgs = append(pkgs, tidewaiter.Package{
			Ecosystem: tidewaiter.EcosystemRPM, Type: typeRPM,
			Name: fields[0], Epoch: epoch, Version: version, Release: release, Arch: fields[7],
			Source: source, SourceEpoch: epoch, SourceVer: sourceVersion, SourceRel: sourceRelease,
		})
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	out.list(f.path, typeRPM, pkgs)
	return nil
}
