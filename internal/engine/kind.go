package engine

import (
	"context"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// kind is a kind of file that declares packages or something that helps to judge them.
type kind struct {
	name   string // the Inventory's type
	parse  func(ctx context.Context, e *Engine, f *file, out *found) error
	head   func(head string) bool // whether its first bytes are worth reading on; nil for always
	large  bool                   // limited by Limits.File instead of Limits.Text
	onDisk bool                   // its parser needs a file on disk
}

// found is what one file declares.
type found struct {
	inventories   []tidewaiter.Inventory
	distributions []distributionFile
	contentSets   []string
	license       string // the Debian package licenses are of
	licenses      []string
	owned         []uint64 // files of the distribution's own packages, hashed
	dpkgPackage   string   // the Debian package dpkgFiles are of
	dpkgFiles     []uint64
}

// errNothing says that a file turned out to be of no interest.
var errNothing = errors.New("nothing of interest")

// nothing is what a file of a kind declares that cannot be read: no packages, but a lower layer's file is replaced.
func nothing(p string, k *kind) *found {
	switch k.name {
	case typeDpkgFiles, typeCopyright, typeRepositories, typeRelease:
		return &found{}
	}
	return &found{inventories: []tidewaiter.Inventory{{Path: p, Type: k.name}}}
}

// list puts the packages of a file into what was found.
func (f *found) list(path, kind string, pkgs []tidewaiter.Package) {
	f.inventories = append(f.inventories, tidewaiter.Inventory{Path: path, Type: kind, Packages: pkgs})
}

// tooMany reports whether a database lists more packages than a layer may have. The rest of it is not kept: a small text can
// list more than memory holds. One too many is, so that the document says what was left out.
func (e *Engine) tooMany(pkgs []tidewaiter.Package) bool { return len(pkgs) > e.limits.Packages }

// listFile keeps a file a database lists, as long as there are not too many, likewise.
func listFile(files *[]uint64, hash uint64) {
	if len(*files) <= maxOwned {
		*files = append(*files, hash)
	}
}

func (k *kind) accepts(head string) bool { return k.head == nil || k.head(head) }

func (k *kind) limit(l Limits) int64 {
	if k.large {
		return l.File
	}
	return l.Text
}

// The inventory types of package databases; those of languages are Trivy's.
const (
	typeDpkg = "dpkg"
	typeAPK  = "apk"
	typeRPM  = "rpm"
	typeSBOM = "sbom" // of a distribution's packages listed by an SBOM in the image
)

func osInventory(t string) bool {
	return t == typeDpkg || t == typeAPK || t == typeRPM || t == typeSBOM
}

// byPath are the files known by their whole path.
var byPath = map[string]*kind{
	"/var/lib/dpkg/status":                                        {name: typeDpkg, parse: parseDpkgStatus},
	"/lib/apk/db/installed":                                       {name: typeAPK, parse: parseAPKInstalled},
	"/usr/lib/apk/db/installed":                                   {name: typeAPK, parse: parseAPKInstalled},
	"/usr/lib/sysimage/rpm/Packages":                              rpmBerkeley,
	"/var/lib/rpm/Packages":                                       rpmBerkeley,
	"/usr/lib/sysimage/rpm/Packages.db":                           rpmNDB,
	"/var/lib/rpm/Packages.db":                                    rpmNDB,
	"/usr/lib/sysimage/rpm/rpmdb.sqlite":                          rpmSQLite,
	"/var/lib/rpm/rpmdb.sqlite":                                   rpmSQLite,
	"/usr/share/rpm/rpmdb.sqlite":                                 rpmSQLite,
	"/var/lib/rpmmanifest/container-manifest-2":                   {name: typeRPM, parse: parseRPMManifest},
	"/etc/apk/repositories":                                       {name: typeRepositories, parse: parseAPKRepositories},
	"/var/lib/ubuntu-advantage/status.json":                       {name: typeRepositories, parse: parseUbuntuPro},
	"/etc/os-release":                                             {name: typeRelease, parse: parseOSRelease},
	"/usr/lib/os-release":                                         {name: typeRelease, parse: parseOSRelease},
	"/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/os-release":  {name: typeRelease, parse: parseOSRelease},
	"/aarch64-bottlerocket-linux-gnu/sys-root/usr/lib/os-release": {name: typeRelease, parse: parseOSRelease},
	"/etc/alpine-release":                                         releaseFile("alpine"),
	"/etc/debian_version":                                         releaseFile("debian"),
	"/etc/lsb-release":                                            {name: typeRelease, parse: parseLSBRelease},
	"/etc/redhat-release":                                         {name: typeRelease, parse: parseRedHatRelease},
	"/etc/centos-release":                                         {name: typeRelease, parse: parseRedHatRelease},
	"/etc/rocky-release":                                          {name: typeRelease, parse: parseRedHatRelease},
	"/etc/almalinux-release":                                      {name: typeRelease, parse: parseRedHatRelease},
	"/etc/oracle-release":                                         {name: typeRelease, parse: parseRedHatRelease},
	"/etc/fedora-release":                                         {name: typeRelease, parse: parseRedHatRelease},
	"/usr/lib/fedora-release":                                     {name: typeRelease, parse: parseRedHatRelease},
	"/etc/system-release":                                         {name: typeRelease, parse: parseAmazonRelease},
	"/usr/lib/system-release":                                     {name: typeRelease, parse: parseAmazonRelease},
}

var (
	rpmBerkeley = &kind{name: typeRPM, parse: parseBerkeleyDB, large: true}
	rpmNDB      = &kind{name: typeRPM, parse: parseNDB, large: true}
	rpmSQLite   = &kind{name: typeRPM, parse: parseRPMSQLite, large: true, onDisk: true}

	dpkgStatus    = byPath["/var/lib/dpkg/status"]
	dpkgMD5       = &kind{name: typeDpkgFiles, parse: parseDpkgMD5}
	dpkgList      = &kind{name: typeDpkgFiles, parse: parseDpkgList}
	dpkgCopyright = &kind{name: typeCopyright, parse: parseCopyright}
	contentSets   = &kind{name: typeRepositories, parse: parseContentManifest}

	nodePackage  = &kind{name: string(ftypes.NodePkg), parse: parseNodePackage}
	pythonWheel  = &kind{name: string(ftypes.PythonPkg), parse: parsePythonMetadata}
	pythonEgg    = &kind{name: string(ftypes.PythonPkg), parse: parsePythonEgg, large: true, head: isZip}
	rubyGem      = &kind{name: string(ftypes.GemSpec), parse: parseGemspec}
	phpInstalled = &kind{name: string(ftypes.ComposerVendor), parse: parseComposer}
	dotnetDeps   = &kind{name: string(ftypes.DotNetCore), parse: parseDotNetDeps}
	condaPackage = &kind{name: string(ftypes.CondaPkg), parse: parseConda}
	juliaPackage = &kind{name: string(ftypes.Julia), parse: parseJulia}
	javaArchive  = &kind{name: string(ftypes.Jar), parse: parseJar, large: true, head: isZip}
	sbomFile     = &kind{name: typeSBOM, parse: parseSBOM}
	executable   = &kind{name: string(ftypes.GoBinary), parse: parseExecutable, large: true, head: isExecutable}
)

var (
	gemspecPath = regexp.MustCompile(`/specifications/.+\.gemspec$`)
	condaPath   = regexp.MustCompile(`/envs/.+/conda-meta/.+-.+-.+\.json$`)
)

// kindOf tells from a file's path and mode what it may declare; nil when nothing. The selection is that of Trivy's
// analyzers for images.
func kindOf(p string, mode int64) *kind {
	if k := byPath[p]; k != nil {
		return k
	}
	dir, base := path.Split(p)
	if k := ofPackageManager(p, dir, base); k != nil {
		return k
	}
	if k := ofLanguage(p, base); k != nil {
		return k
	}
	if mode&0o111 != 0 || strings.HasSuffix(base, ".exe") {
		return executable
	}
	return nil
}

func ofPackageManager(p, dir, base string) *kind {
	switch dir {
	case "/var/lib/dpkg/status.d/":
		if strings.HasSuffix(base, ".md5sums") {
			return dpkgMD5
		}
		return dpkgStatus
	case "/var/lib/dpkg/info/":
		switch path.Ext(base) {
		case ".md5sums":
			return dpkgMD5
		case ".list":
			return dpkgList
		}
	case "/root/buildinfo/content_manifests/", "/usr/share/buildinfo/":
		if strings.HasSuffix(base, ".json") {
			return contentSets
		}
	}
	if base == "copyright" && strings.HasPrefix(p, "/usr/share/doc/") && strings.Count(p, "/") == 5 {
		return dpkgCopyright
	}
	return nil
}

// sbomSuffixes are the names SBOMs have by convention; PEP 770 ones inside of a wheel describe what the wheel was built
// from and are left out.
var sbomSuffixes = []string{".spdx", ".spdx.json", ".cdx", ".cdx.json"}

func ofLanguage(p, base string) *kind {
	switch base {
	case "package.json":
		return nodePackage
	case "installed.json":
		return phpInstalled
	case "Manifest.toml":
		return juliaPackage
	case "METADATA":
		if strings.Contains(p, ".dist-info") || strings.HasSuffix(p, ".egg-info/METADATA") {
			return pythonWheel
		}
	case "PKG-INFO":
		if strings.HasSuffix(p, ".egg-info/PKG-INFO") || strings.HasSuffix(p, "EGG-INFO/PKG-INFO") {
			return pythonWheel
		}
	}
	switch strings.ToLower(path.Ext(base)) {
	case ".jar", ".war", ".ear", ".par":
		return javaArchive
	case ".egg-info":
		return pythonWheel
	case ".egg":
		return pythonEgg
	case ".gemspec":
		if gemspecPath.MatchString(p) {
			return rubyGem
		}
	case ".json":
		switch {
		case strings.HasSuffix(base, ".deps.json"):
			return dotnetDeps
		case condaPath.MatchString(p):
			return condaPackage
		}
	}
	if slices.ContainsFunc(sbomSuffixes, func(s string) bool { return strings.HasSuffix(base, s) }) &&
		!strings.Contains(p, ".dist-info/sboms/") {
		return sbomFile
	}
	return nil
}

func isZip(head string) bool { return strings.HasPrefix(head, "PK") }

// isExecutable knows ELF, PE and Mach-O.
func isExecutable(head string) bool {
	for _, magic := range []string{
		"\x7fELF", "MZ", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe",
	} {
		if strings.HasPrefix(head, magic) {
			return true
		}
	}
	return false
}
