package samples

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"runtime/debug"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// nodeModules installs a set of npm packages below dir.
func nodeModules(dir, set string) (packages, error) {
	rows, err := sets("libraries.txt", set)
	if err != nil {
		return packages{}, err
	}
	p := packages{entries: []Entry{Dir(dir), Dir(path.Join(dir, "node_modules"))}}
	for _, r := range rows {
		name, version := r.col(1), r.col(2)
		manifest, err := json.MarshalIndent(map[string]any{
			"name": name, "version": version, "license": r.col(3), "main": "index.js",
			"description": "sample of " + name,
		}, "", "  ")
		if err != nil {
			return packages{}, fmt.Errorf("package.json of %s: %w", name, err)
		}
		at := path.Join(dir, "node_modules", name)
		p.entries = append(p.entries, Dir(at), Bytes(path.Join(at, "package.json"), manifest),
			File(path.Join(at, "index.js"), "'use strict';\nmodule.exports = {};\n"))
		p.declared = append(p.declared, Package{tidewaiter.EcosystemNPM, name, version})
	}
	return p, nil
}

// distInfo is the directory pip and dpkg keep a Python distribution's metadata in.
func distInfo(site, name, version string) string {
	return path.Join(site, name+"-"+version+".dist-info")
}

// sitePackages installs a set of Python distributions below site.
func sitePackages(site, set string) (packages, error) {
	rows, err := sets("libraries.txt", set)
	if err != nil {
		return packages{}, err
	}
	var p packages
	for _, r := range rows {
		name, version := r.col(1), r.col(2)
		at := distInfo(site, name, version)
		p.entries = append(p.entries, Dir(at),
			File(path.Join(at, "METADATA"), fmt.Sprintf(
				"Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: sample of %s\nLicense: %s\n\nSample.\n",
				name, version, name, r.col(3))),
			File(path.Join(at, "RECORD"), ""),
			File(path.Join(site, strings.ToLower(name), "__init__.py"), "__version__ = '"+version+"'\n"))
		p.declared = append(p.declared, Package{tidewaiter.EcosystemPyPI, name, version})
	}
	return p, nil
}

// webArchive packs a set of Maven artifacts, each a jar, into a war.
func webArchive(name, set string) (packages, error) {
	rows, err := sets("libraries.txt", set)
	if err != nil {
		return packages{}, err
	}
	files := []zipFile{{"META-INF/MANIFEST.MF", []byte("Manifest-Version: 1.0\r\n\r\n")}}
	var p packages
	for _, r := range rows {
		coordinates, version := r.col(1), r.col(2)
		group, artifact, _ := strings.Cut(coordinates, ":")
		jar, err := zipOf([]zipFile{
			{"META-INF/MANIFEST.MF", []byte("Manifest-Version: 1.0\r\n\r\n")},
			{path.Join("META-INF/maven", group, artifact, "pom.properties"),
				[]byte("version=" + version + "\ngroupId=" + group + "\nartifactId=" + artifact + "\n")},
		})
		if err != nil {
			return packages{}, fmt.Errorf("pack %s: %w", artifact, err)
		}
		files = append(files, zipFile{"WEB-INF/lib/" + artifact + "-" + version + ".jar", jar})
		p.declared = append(p.declared, Package{tidewaiter.EcosystemMaven, coordinates, version})
	}
	war, err := zipOf(files)
	if err != nil {
		return packages{}, fmt.Errorf("pack %s: %w", name, err)
	}
	p.entries = []Entry{Bytes(name, war)}
	return p, nil
}

type zipFile struct {
	name    string
	content []byte
}

func zipOf(files []zipFile) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		out, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: builtAt()})
		if err != nil {
			return nil, err
		}
		if _, err := out.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// goService makes a Go program for linux with a set of modules in it.
func goService(name, mainPath, architecture, set string) (packages, error) {
	rows, err := sets("libraries.txt", set)
	if err != nil {
		return packages{}, err
	}
	const toolchain = "1.20.5"
	info := debug.BuildInfo{
		Path: mainPath, Main: debug.Module{Path: mainPath, Version: "v2.3.0"},
		Settings: []debug.BuildSetting{{Key: "GOARCH", Value: architecture}, {Key: "GOOS", Value: "linux"}, {Key: "CGO_ENABLED", Value: "0"}},
	}
	p := packages{declared: []Package{
		{tidewaiter.EcosystemGo, mainPath, "v2.3.0"}, {tidewaiter.EcosystemGo, "stdlib", "v" + toolchain},
	}}
	for _, r := range rows {
		info.Deps = append(info.Deps, &debug.Module{Path: r.col(1), Version: r.col(2)})
		p.declared = append(p.declared, Package{tidewaiter.EcosystemGo, r.col(1), r.col(2)})
	}
	program, err := GoProgram("go"+toolchain, info)
	if err != nil {
		return packages{}, fmt.Errorf("make program %s: %w", name, err)
	}
	p.entries = []Entry{Program(name, program)}
	return p, nil
}
