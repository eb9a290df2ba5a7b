package engine

import (
	"context"
	"fmt"
	"io"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/sbom"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// parseSBOM reads an SPDX or CycloneDX document an image's builder left in it: Bitnami for each component, Chainguard for
// each package. What it lists counts as declared by the document's own file.
func parseSBOM(ctx context.Context, _ *Engine, f *file, out *found) error {
	r := f.reader(ctx)
	format, err := sbom.DetectFormat(r)
	if err != nil {
		return err
	}
	if format == sbom.FormatUnknown {
		return errNothing
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	doc, err := sbom.Decode(ctx, r, format)
	if err != nil {
		return fmt.Errorf("%s: %w", format, err)
	}
	var pkgs []tidewaiter.Package
	for _, info := range doc.Packages {
		pkgs = append(pkgs, osPackages(info.Packages)...)
	}
	if len(pkgs) > 0 {
		out.list(f.path, typeSBOM, pkgs)
	}
	byType := map[ftypes.LangType][]tidewaiter.Package{}
	for _, app := range doc.Applications {
		byType[app.Type] = append(byType[app.Type], fromSBOM(app)...)
	}
	for t, pkgs := range byType {
		out.list(f.path, string(t), pkgs)
	}
	if len(out.inventories) == 0 {
		return errNothing
	}
	return nil
}

func fromSBOM(app ftypes.Application) []tidewaiter.Package {
	pkgs := fromTrivy(app.Type, app.Packages)
	purls := map[[2]string]string{}
	for i := range app.Packages {
		if p := &app.Packages[i]; p.Identifier.PURL != nil {
			purls[[2]string{p.Name, p.Version}] = p.Identifier.PURL.String()
		}
	}
	for i := range pkgs {
		pkgs[i].PURL = purls[[2]string{pkgs[i].Name, pkgs[i].Version}]
	}
	return pkgs
}

// osPackages keeps the packages of a distribution. Their package URL tells which, Merge compares it with the image's.
func osPackages(list []ftypes.Package) []tidewaiter.Package {
	pkgs := make([]tidewaiter.Package, 0, len(list))
	for i := range list {
		p := &list[i]
		if p.Identifier.PURL == nil || p.Name == "" || p.Version == "" {
			continue
		}
		var kind string
		eco := tidewaiter.Ecosystem(p.Identifier.PURL.Type)
		switch eco {
		case tidewaiter.EcosystemDeb:
			kind = typeDpkg
		case tidewaiter.EcosystemAPK:
			kind = typeAPK
		case tidewaiter.EcosystemRPM:
			kind = typeRPM
		default:
			continue
		}
		pkgs = append(pkgs, tidewaiter.Package{
			Ecosystem: eco, Type: kind, Name: p.Name, Epoch: p.Epoch, Version: p.Version, Release: p.Release, Arch: p.Arch,
			Source: p.SrcName, SourceEpoch: p.SrcEpoch, SourceVer: p.SrcVersion, SourceRel: p.SrcRelease,
			Modularity: p.Modularitylabel, Maintainer: p.Maintainer, Licenses: licenseNames(p.Licenses),
			PURL: p.Identifier.PURL.String(),
		})
	}
	return pkgs
}
