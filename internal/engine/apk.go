package engine

import (
	"context"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/aquasecurity/trivy/pkg/licensing"
	apkversion "github.com/knqyf263/go-apk-version"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// parseAPKInstalled reads apk's database: a paragraph a package, a letter a field. Alpine: wiki, Apk spec.
func parseAPKInstalled(ctx context.Context, e *Engine, f *file, out *found) error {
	var pkgs []tidewaiter.Package
	var p tidewaiter.Package
	var version, dir string
	seen := map[string]bool{}
	end := func() {
		if p.Name != "" && p.Version != "" && !seen[p.Name] && !e.tooMany(pkgs) {
			seen[p.Name] = true
			pkgs = append(pkgs, p)
		}
		p = tidewaiter.Package{Ecosystem: tidewaiter.EcosystemAPK, Type: typeAPK}
		version = ""
	}
	end()
	err := eachLine(ctx, f, func(line string) {
		if len(line) < 2 {
			end()
			return
		}
		value := line[2:]
		switch line[:2] {
		case "P:":
			p.Name = value
		case "V:":
			if version = value; apkversion.Valid(value) {
				p.Version = value
			}
		case "o:":
			p.Source, p.SourceVer = value, version
		case "A:":
			p.Arch = value
		case "L:":
			p.Licenses = licensing.LaxSplitLicenses(clip(value, 1000))
		case "m:":
			p.Maintainer = value
		case "F:":
			dir = value
		case "R:":
			listFile(&out.owned, e.hash(path.Join("/", dir, value)))
		}
	})
	if err != nil {
		return err
	}
	end()
	out.list(f.path, typeAPK, pkgs)
	return nil
}

// typeRepositories is of files that tell which repositories packages come from.
const typeRepositories = "repositories"

var alpineRepository = regexp.MustCompile(`^\s*(?:@\S+\s+)?(?:https?|ftp)://[0-9A-Za-z.-]+/alpine/v?([0-9A-Za-z_.-]+)/`)

// parseAPKRepositories finds the newest branch of Alpine packages are installed from: edge, or 3.20.
func parseAPKRepositories(ctx context.Context, _ *Engine, f *file, out *found) error {
	newest := ""
	err := eachLine(ctx, f, func(line string) {
		if m := alpineRepository.FindStringSubmatch(line); m != nil && newerBranch(m[1], newest) {
			newest = m[1]
		}
	})
	if err != nil {
		return err
	}
	if newest == "" {
		return errNothing
	}
	out.contentSets = []string{alpineSet + newest}
	return nil
}

// alpineSet and esmSet are how an analysis says among its content sets which repository of another distribution than Red
// Hat's packages come from; Merge turns them into what matching needs.
const (
	alpineSet = "alpine:"
	esmSet    = "ubuntu:esm-infra"
)

func newerBranch(a, b string) bool {
	switch {
	case b == "" || a == "edge":
		return true
	case b == "edge":
		return false
	}
	amajor, aminor := branchNumbers(a)
	bmajor, bminor := branchNumbers(b)
	return amajor > bmajor || amajor == bmajor && aminor > bminor
}

func branchNumbers(s string) (major, minor int) {
	a, b, _ := strings.Cut(s, ".")
	major, _ = strconv.Atoi(a)
	minor, _ = strconv.Atoi(b)
	return major, minor
}
