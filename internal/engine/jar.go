package engine

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/xml"
	"io"
	"path"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/licensing"
	"golang.org/x/net/html/charset"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Limits of what is unpacked of a Java archive. Archives in archives are read in memory, to a depth, and to a sum, so
// that neither a bomb nor an archive that holds itself costs more.
const (
	jarDepth   = 5
	jarText    = 1 << 20   // bytes of a pom.properties or pom.xml
	jarInner   = 128 << 20 // bytes of an archive in an archive
	jarTotal   = 1 << 30   // bytes of all archives in an archive
	jarEntries = 500_000
)

// parseJar reads the Maven coordinates archives carry (META-INF/maven/<group>/<artifact>/pom.properties), its own and
// those of archives in it, each under its own path: /app.war/WEB-INF/lib/x.jar. It finds what Trivy finds without its
// database of checksums; one that names no coordinates stays unknown.
func parseJar(ctx context.Context, _ *Engine, f *file, out *found) error {
	j := &jarReader{out: out, bytes: jarTotal, entries: jarEntries}
	return j.read(ctx, f.path, f.reader(ctx), f.size, 0)
}

type jarReader struct {
	out     *found
	bytes   int64 // of inner archives, left to unpack
	entries int   // left to look at
}

func (j *jarReader) read(ctx context.Context, name string, r io.ReaderAt, size int64, depth int) error {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	if j.entries -= len(archive.File); j.entries < 0 {
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "more than %d entries", jarEntries)
	}
	var pkgs []tidewaiter.Package
	licenses := map[string][]string{}
	var inner []*zip.File
	for _, entry := range archive.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch path.Base(entry.Name) {
		case "pom.properties":
			if p, ok := readPomProperties(entry); ok {
				pkgs = append(pkgs, p)
			}
		case "pom.xml":
			if ga, names := readPomLicenses(entry); len(names) > 0 {
				licenses[ga] = names
			}
		default:
			switch path.Ext(entry.Name) {
			case ".jar", ".war", ".ear":
				inner = append(inner, entry)
			}
		}
	}
	for i := range pkgs {
		pkgs[i].Licenses = licenses[pkgs[i].Name]
	}
	j.out.list(name, string(ftypes.Jar), uniquePackages(pkgs))
	for _, entry := range inner {
		if err := j.readInner(ctx, name, entry, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// readInner reads an archive in an archive. A broken one costs itself.
func (j *jarReader) readInner(ctx context.Context, outer string, entry *zip.File, depth int) error {
	if depth > jarDepth {
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "archives in archives more than %d deep", jarDepth)
	}
	b, err := unzip(entry, min(jarInner, j.bytes))
	if tidewaiter.KindOf(err) == tidewaiter.ErrTooLarge {
		return err
	} else if err != nil {
		return nil //nolint:nilerr // broken: the archive around it is read on
	}
	size, err := b.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	j.bytes -= size
	name, _ := cleanPath(entry.Name)
	err = j.read(ctx, clip(outer+name, 4096), b, size, depth)
	if tidewaiter.KindOf(err) == tidewaiter.ErrTooLarge || ctx.Err() != nil {
		return err
	}
	return nil
}

// readPomProperties makes a package of the coordinates; false when one of them is missing.
func readPomProperties(entry *zip.File) (tidewaiter.Package, bool) {
	text, err := unzip(entry, jarText)
	if err != nil {
		return tidewaiter.Package{}, false
	}
	var group, artifact, version string
	for lines := bufio.NewScanner(text); lines.Scan(); {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		switch key {
		case "groupId":
			group = value
		case "artifactId":
			artifact = value
		case "version":
			version = value
		}
	}
	return tidewaiter.Package{
		Ecosystem: tidewaiter.EcosystemMaven, Type: string(ftypes.Jar), Name: group + ":" + artifact, Version: version,
	}, group != "" && artifact != "" && version != ""
}

// readPomLicenses returns the licences a META-INF/maven/<group>/<artifact>/pom.xml declares, with "group:artifact".
func readPomLicenses(entry *zip.File) (string, []string) {
	rest, ok := strings.CutPrefix(entry.Name, "META-INF/maven/")
	group, artifact, ok2 := strings.Cut(strings.TrimSuffix(rest, "/pom.xml"), "/")
	if !ok || !ok2 || strings.Contains(artifact, "/") {
		return "", nil
	}
	text, err := unzip(entry, jarText)
	if err != nil {
		return "", nil
	}
	var pom struct {
		Licenses []struct {
			Name string `xml:"name"`
			URL  string `xml:"url"`
		} `xml:"licenses>license"`
	}
	d := xml.NewDecoder(text)
	d.CharsetReader = charset.NewReaderLabel
	if d.Decode(&pom) != nil {
		return "", nil
	}
	var names []string
	for _, l := range pom.Licenses {
		name := strings.TrimSpace(l.Name)
		if name == "" {
			name, _ = licensing.SPDXLicenseIDByURL(l.URL)
		}
		names = append(names, name)
	}
	return group + ":" + artifact, licenseNames(names)
}

func uniquePackages(pkgs []tidewaiter.Package) []tidewaiter.Package {
	seen := map[[2]string]bool{}
	unique := pkgs[:0]
	for _, p := range pkgs {
		if id := [2]string{p.Name, p.Version}; !seen[id] {
			seen[id] = true
			unique = append(unique, p)
		}
	}
	return unique
}
