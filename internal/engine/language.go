package engine

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aquasecurity/trivy/pkg/dependency/parser/conda/meta"
	core "github.com/aquasecurity/trivy/pkg/dependency/parser/dotnet/core_deps"
	gobinary "github.com/aquasecurity/trivy/pkg/dependency/parser/golang/binary"
	"github.com/aquasecurity/trivy/pkg/dependency/parser/julia/manifest"
	"github.com/aquasecurity/trivy/pkg/dependency/parser/nodejs/packagejson"
	"github.com/aquasecurity/trivy/pkg/dependency/parser/php/composer"
	"github.com/aquasecurity/trivy/pkg/dependency/parser/python/packaging"
	"github.com/aquasecurity/trivy/pkg/dependency/parser/ruby/gemspec"
	rustbinary "github.com/aquasecurity/trivy/pkg/dependency/parser/rust/binary"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/licensing"
	xio "github.com/aquasecurity/trivy/pkg/x/io"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// trivyParser is what Trivy's parsers have in common.
type trivyParser interface {
	Parse(context.Context, xio.ReadSeekerAt) ([]ftypes.Package, []ftypes.Dependency, error)
}

func parseWith(ctx context.Context, p trivyParser, t ftypes.LangType, f *file, out *found) error {
	pkgs, _, err := p.Parse(ctx, f.reader(ctx))
	if err != nil {
		return err
	}
	out.list(f.path, string(t), fromTrivy(t, pkgs))
	return nil
}

// parseNodePackage reads the package.json of an installed package. One without name and version only tells Node how to
// load the files beside it.
func parseNodePackage(ctx context.Context, _ *Engine, f *file, out *found) error {
	p, err := packagejson.NewParser().Parse(f.reader(ctx))
	if err != nil && !insideNodePackage(f.path) {
		return err
	}
	if err != nil || p.ID == "" {
		return errNothing
	}
	out.list(f.path, string(ftypes.NodePkg), fromTrivy(ftypes.NodePkg, []ftypes.Package{p.Package}))
	return nil
}

// insideNodePackage tells the package.json of an installed package, node_modules/name or node_modules/@scope/name, from
// those deeper in it: hints for bundlers, and broken ones its tests are about.
func insideNodePackage(p string) bool {
	const modules = "/node_modules/"
	i := strings.LastIndex(p, modules)
	if i < 0 {
		return false
	}
	depth := strings.Count(p[i+len(modules):], "/")
	return depth > 2 || depth == 2 && p[i+len(modules)] != '@'
}

func parsePythonMetadata(ctx context.Context, _ *Engine, f *file, out *found) error {
	return parseWith(ctx, packaging.NewParser(), ftypes.PythonPkg, f, out)
}

// parsePythonEgg reads the metadata in a zipped egg.
func parsePythonEgg(ctx context.Context, e *Engine, f *file, out *found) error {
	z, err := zip.NewReader(f.reader(ctx), f.size)
	if err != nil {
		return err
	}
	for _, entry := range z.File {
		if !strings.HasSuffix(entry.Name, "EGG-INFO/PKG-INFO") && !strings.HasSuffix(entry.Name, ".egg-info/PKG-INFO") {
			continue
		}
		text, err := unzip(entry, e.limits.Text)
		if err != nil {
			return err
		}
		pkgs, _, err := packaging.NewParser().Parse(ctx, text)
		if err != nil {
			return err
		}
		out.list(f.path, string(ftypes.PythonPkg), fromTrivy(ftypes.PythonPkg, pkgs))
		return nil
	}
	return errNothing
}

func parseGemspec(ctx context.Context, _ *Engine, f *file, out *found) error {
	return parseWith(ctx, gemspec.NewParser(), ftypes.GemSpec, f, out)
}

func parseComposer(ctx context.Context, _ *Engine, f *file, out *found) error {
	return parseWith(ctx, composer.NewParser(), ftypes.ComposerVendor, f, out)
}

func parseDotNetDeps(ctx context.Context, _ *Engine, f *file, out *found) error {
	return parseWith(ctx, core.NewParser(), ftypes.DotNetCore, f, out)
}

func parseConda(ctx context.Context, _ *Engine, f *file, out *found) error {
	return parseWith(ctx, meta.NewParser(), ftypes.CondaPkg, f, out)
}

func parseJulia(ctx context.Context, _ *Engine, f *file, out *found) error {
	return parseWith(ctx, julia.NewParser(), ftypes.Julia, f, out)
}

// parseExecutable reads the modules Go builds into a binary, or the crates cargo-auditable does.
func parseExecutable(ctx context.Context, _ *Engine, f *file, out *found) error {
	err := parseWith(ctx, gobinary.NewParser(), ftypes.GoBinary, f, out)
	if err == nil {
		return nil
	}
	if !errors.Is(err, gobinary.ErrUnrecognizedExe) && !errors.Is(err, gobinary.ErrNonGoBinary) {
		return fmt.Errorf("go binary: %w", err)
	}
	err = parseWith(ctx, rustbinary.NewParser(), ftypes.RustBinary, f, out)
	if errors.Is(err, rustbinary.ErrUnrecognizedExe) || errors.Is(err, rustbinary.ErrNonRustBinary) {
		return errNothing
	}
	return err
}

// unzip reads an entry of at most limit bytes, whatever its header says of its size.
func unzip(entry *zip.File, limit int64) (xio.ReadSeekerAt, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it is read only
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "%s in it is larger than %d bytes", clip(entry.Name, 200), limit)
	}
	return strings.NewReader(string(b)), nil
}

// fromTrivy makes packages of what a parser for a language returns.
func fromTrivy(t ftypes.LangType, list []ftypes.Package) []tidewaiter.Package {
	pkgs := make([]tidewaiter.Package, 0, len(list))
	for i := range list {
		p := &list[i]
		if p.Name == "" {
			continue
		}
		pkg := tidewaiter.Package{
			Ecosystem: ecosystemOf(t), Type: string(t), Name: p.Name, Version: p.Version, Licenses: licenseNames(p.Licenses),
		}
		if t == ftypes.Julia {
			pkg.PURL = purlOf(t, nil, *p) // its id is in it, which is not kept elsewhere
		}
		pkgs = append(pkgs, pkg)
	}
	return pkgs
}

// licenseNames drops what parsers return instead of a name: the text of a licence, or the name of a file that holds one.
func licenseNames(list []string) (names []string) {
	for _, l := range list {
		if l != "" && len(l) <= 200 && !strings.HasPrefix(l, licensing.LicenseTextPrefix) && !strings.HasPrefix(l, licensing.LicenseFilePrefix) {
			names = append(names, l)
		}
	}
	return names
}
