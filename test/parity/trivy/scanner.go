// Package trivy scans images with the whole of Trivy, the way its image command does with its defaults, but without a
// network: its Java index is empty, and nobody is asked for SBOMs of programs.
package trivy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	tdb "github.com/aquasecurity/trivy-db/pkg/db"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	javadb "github.com/aquasecurity/trivy-java-db/pkg/db"
	"github.com/aquasecurity/trivy/pkg/cache"
	"github.com/aquasecurity/trivy/pkg/fanal/analyzer"
	"github.com/aquasecurity/trivy/pkg/fanal/applier"
	"github.com/aquasecurity/trivy/pkg/fanal/artifact"
	imageartifact "github.com/aquasecurity/trivy/pkg/fanal/artifact/image"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	trivyjava "github.com/aquasecurity/trivy/pkg/javadb"
	"github.com/aquasecurity/trivy/pkg/log"
	"github.com/aquasecurity/trivy/pkg/scan/langpkg"
	"github.com/aquasecurity/trivy/pkg/scan/local"
	"github.com/aquasecurity/trivy/pkg/scan/ospkg"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/aquasecurity/trivy/pkg/vulnerability"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	_ "modernc.org/sqlite" // the driver of the Java index
)

// parallel is what Trivy's own command works with: five layers at once, five files of each.
const parallel = 5

// Options say what is looked for, and where the scanner may keep files.
type Options struct {
	Secrets bool
	Dir     string // for the empty Java index; has to exist
}

// Scanner scans images by the advisories that are open in this process. Trivy holds them in a package-global, and so it
// does the place of its Java index: one Scanner a process. Layers are analysed once in its lifetime.
type Scanner struct {
	secrets bool
	cache   *cache.MemoryCache
	service local.Service
}

// New makes a Scanner and silences Trivy's log.
func New(o Options) (*Scanner, error) {
	log.InitLogger(false, true)
	if err := emptyJavaIndex(o.Dir + "/java-db"); err != nil {
		return nil, fmt.Errorf("make a java index: %w", err)
	}
	trivyjava.Init(o.Dir, nil, true, true, ftypes.RegistryOptions{})
	c := cache.NewMemoryCache()
	return &Scanner{secrets: o.Secrets, cache: c, service: local.NewService(applier.NewApplier(c), ospkg.NewScanner(),
		langpkg.NewScanner(), vulnerability.NewClient(tdb.Config{}))}, nil
}

// emptyJavaIndex makes the file Trivy looks up the hashes of jars in. Without it, Trivy refuses every layer with a jar.
func emptyJavaIndex(dir string) (err error) {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	db, err := javadb.New(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Init(); err != nil {
		return err
	}
	meta := javadb.NewMetadata(dir)
	return meta.Update(javadb.Metadata{Version: javadb.SchemaVersion, NextUpdate: time.Now().AddDate(1, 0, 0)})
}

// Scan analyses those of the image's layers it has not seen yet and looks all its packages up.
func (s *Scanner) Scan(ctx context.Context, name string, img v1.Image) (Report, error) {
	a, err := imageartifact.NewArtifact(image{img, name}, s.cache, s.artifactOptions())
	if err != nil {
		return Report{}, fmt.Errorf("scan %s: %w", name, err)
	}
	ref, err := a.Inspect(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("scan %s: %w", name, err)
	}
	answer, err := s.service.Scan(ctx, name, ref.ID, ref.BlobIDs, s.scanOptions())
	if err != nil {
		return Report{}, fmt.Errorf("scan %s: %w", name, err)
	}
	return reportOf(name, answer), nil
}

// artifactOptions leave out what Trivy's image command leaves out: lock files, removed packages, configuration files,
// licence texts, the hashes of programs.
func (s *Scanner) artifactOptions() artifact.Option {
	off := append([]analyzer.Type{
		analyzer.TypeApkCommand, analyzer.TypeLicenseFile, analyzer.TypeHistoryDockerfile, analyzer.TypeExecutable,
		analyzer.TypeRpmArchive,
	}, analyzer.TypeLockfiles...)
	off = append(off, analyzer.TypeConfigFiles...)
	if !s.secrets {
		off = append(off, analyzer.TypeSecret, analyzer.TypeImageConfigSecret)
	}
	return artifact.Option{
		Type: ftypes.TypeContainerImage, DisabledAnalyzers: off, Parallel: parallel, NoProgress: true, Offline: true,
		DisabledHandlers:  []ftypes.HandlerType{ftypes.UnpackagedPostHandler}, // it would ask a transparency log
		DetectionPriority: ftypes.PriorityPrecise,
	}
}

func (s *Scanner) scanOptions() types.ScanOptions {
	scanners := types.Scanners{types.VulnerabilityScanner, types.SBOMScanner}
	if s.secrets {
		scanners = append(scanners, types.SecretScanner)
	}
	return types.ScanOptions{
		PkgTypes: types.PkgTypes, PkgRelationships: ftypes.Relationships, Scanners: scanners,
		VulnSeveritySources: []dbtypes.SourceID{"auto"},
	}
}

// image is an image under a name, in Trivy's form.
type image struct {
	v1.Image
	name string
}

// Name returns what the image is called in reports.
func (i image) Name() string { return i.name }

// ID returns the digest of the image's configuration.
func (i image) ID() (string, error) {
	h, err := i.ConfigName()
	return h.String(), err
}

// RepoTags returns nothing: the image does not say where it comes from.
func (image) RepoTags() []string { return nil }

// RepoDigests returns nothing, as RepoTags.
func (image) RepoDigests() []string { return nil }
