package tidewaiter

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Distribution is the operating system an image's packages come from.
type Distribution struct {
	Family      string   `json:"family"`  // as the advisory database names it: debian, alpine, redhat, …
	Release     string   `json:"release"` // as the distribution writes it: 12.5, 3.20.1, 9.4
	PrettyName  string   `json:"prettyName,omitempty"`
	ContentSets []string `json:"contentSets,omitempty"` // Red Hat: the repositories packages were installed from
}

// Ecosystem names where a package comes from: a distribution's package manager or a language's.
type Ecosystem string

// The ecosystems.
const (
	EcosystemDeb      Ecosystem = "deb"
	EcosystemAPK      Ecosystem = "apk"
	EcosystemRPM      Ecosystem = "rpm"
	EcosystemNPM      Ecosystem = "npm"
	EcosystemPyPI     Ecosystem = "pypi"
	EcosystemGem      Ecosystem = "gem"
	EcosystemMaven    Ecosystem = "maven"
	EcosystemGo       Ecosystem = "golang"
	EcosystemCargo    Ecosystem = "cargo"
	EcosystemNuGet    Ecosystem = "nuget"
	EcosystemComposer Ecosystem = "composer"
	EcosystemConda    Ecosystem = "conda"
	EcosystemBitnami  Ecosystem = "bitnami"
	EcosystemHex      Ecosystem = "hex"
	EcosystemPub      Ecosystem = "pub"
	EcosystemSwift    Ecosystem = "swift"
	EcosystemJulia    Ecosystem = "julia"
)

// OS reports whether packages of the ecosystem are a distribution's own.
func (e Ecosystem) OS() bool { return e == EcosystemDeb || e == EcosystemAPK || e == EcosystemRPM }

// Package is a distinct installed package, known once for the whole fleet. Everything that decides which advisories
// apply to it is part of its identity (see Key); Licenses and PURL are not, they describe it.
type Package struct {
	ID int64 `json:"-"` // its number in the store; 0 before it is interned

	Distribution Distribution `json:"distribution,omitzero"` // of OS packages only; PrettyName is left empty
	Ecosystem    Ecosystem    `json:"ecosystem"`
	Type         string       `json:"type,omitempty"` // the engine's finer kind: jar, node-pkg, gobinary, …
	Name         string       `json:"name"`
	Epoch        int          `json:"epoch,omitempty"`
	Version      string       `json:"version"`
	Release      string       `json:"release,omitempty"`
	Arch         string       `json:"arch,omitempty"`
	Source       string       `json:"source,omitempty"` // the source package's name
	SourceEpoch  int          `json:"sourceEpoch,omitempty"`
	SourceVer    string       `json:"sourceVersion,omitempty"`
	SourceRel    string       `json:"sourceRelease,omitempty"`
	Modularity   string       `json:"modularity,omitempty"` // rpm module, "name:stream:version:context:arch"
	Repository   string       `json:"repository,omitempty"` // class of the repository it came from, where that decides
	Maintainer   string       `json:"maintainer,omitempty"`

	Licenses []string `json:"licenses,omitempty"`
	PURL     string   `json:"purl,omitempty"`
}

// FullVersion returns the version as the package manager shows it: epoch:version-release.
func (p *Package) FullVersion() string { return evr(p.Epoch, p.Version, p.Release) }

// FullSourceVersion returns the source package's version in the same form.
func (p *Package) FullSourceVersion() string { return evr(p.SourceEpoch, p.SourceVer, p.SourceRel) }

func evr(epoch int, version, release string) string {
	s := version
	if release != "" {
		s += "-" + release
	}
	if epoch != 0 {
		s = strconv.Itoa(epoch) + ":" + s
	}
	return s
}

// Key returns the package's identity: 32 hexadecimal digits over everything that can change which advisories apply.
// Two packages with the same key have the same findings under the same advisories.
func (p *Package) Key() string {
	h := sha256.New()
	for _, s := range []string{
		p.Distribution.Family, p.Distribution.Release, strings.Join(p.Distribution.ContentSets, ","),
		string(p.Ecosystem), p.Type, p.Name, p.FullVersion(), p.Arch, p.Source, p.FullSourceVersion(),
		p.Modularity, p.Repository, p.Maintainer,
	} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Installed is one occurrence of a package in an image.
type Installed struct {
	Package *Package `json:"package"`
	Layer   int      `json:"layer"`          // index into the image's layers, bottom first
	Path    string   `json:"path,omitempty"` // the file that says so; empty for a distribution's packages
}
