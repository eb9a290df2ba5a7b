package trivy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"

	"github.com/tidewaiter/tidewaiter/bench/fleetfile"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Keep stores the packages of a layer as Trivy stores those of one it has analysed.
func (s *Scanner) Keep(ctx context.Context, layer string, packages []*tidewaiter.Package) error {
	blob := ftypes.BlobInfo{SchemaVersion: ftypes.BlobJSONSchemaVersion, DiffID: layer}
	for _, p := range packages {
		path := strings.TrimPrefix(fleetfile.Path(p), "/")
		kept := ftypes.Package{Name: p.Name, Version: p.Version, Arch: p.Arch}
		if !p.Ecosystem.OS() {
			kept.FilePath = path
			blob.Applications = append(blob.Applications, ftypes.Application{Type: ftypes.LangType(p.Type), FilePath: path, Packages: ftypes.Packages{kept}})
			continue
		}
		blob.OS = ftypes.OS{Family: ftypes.OSType(p.Distribution.Family), Name: p.Distribution.Release}
		kept.ID = p.Name + "@" + p.Version
		kept.SrcName, kept.SrcVersion = p.Name, p.Version
		kept.Repository = ftypes.PackageRepository{Class: ftypes.RepositoryClassOfficial}
		blob.PackageInfos = append(blob.PackageInfos, ftypes.PackageInfo{FilePath: path, Packages: ftypes.Packages{kept}})
	}
	return s.cache.PutBlob(ctx, layer, blob)
}

// Again looks up the packages of an image of layers that were kept: what Trivy does for an image it has analysed before.
func (s *Scanner) Again(ctx context.Context, name string, layers ...string) (Report, error) {
	if err := s.cache.PutArtifact(ctx, name, ftypes.ArtifactInfo{SchemaVersion: ftypes.ArtifactJSONSchemaVersion, OS: "linux", Architecture: "amd64"}); err != nil {
		return Report{}, err
	}
	missing, missed, err := s.cache.MissingBlobs(ctx, name, layers)
	if err == nil && (missing || len(missed) > 0) {
		err = errors.New("not kept")
	}
	if err != nil {
		return Report{}, fmt.Errorf("scan %s again: %w", name, err)
	}
	answer, err := s.service.Scan(ctx, name, name, layers, s.scanOptions())
	if err != nil {
		return Report{}, fmt.Errorf("scan %s again: %w", name, err)
	}
	return reportOf(name, answer), nil
}
