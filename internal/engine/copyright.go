package engine

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy/pkg/licensing"
)

const typeCopyright = "copyright"

var commonLicense = regexp.MustCompile(`/?usr/share/common-licenses/([0-9A-Za-z_.+-]+[0-9A-Za-z+])`)

// maxLicenses bounds what one copyright file may declare; the longest real ones name some forty.
const maxLicenses = 200

// parseCopyright reads a Debian package's licences: the fields of the machine-readable format, or the common licences the
// text points to. Debian: copyright-format 1.0.
func parseCopyright(ctx context.Context, _ *Engine, f *file, out *found) error {
	var names []string
	err := eachLine(ctx, f, func(line string) {
		switch {
		case len(names) >= maxLicenses:
		case strings.HasPrefix(line, "License:"):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "License:"), "(")
			name = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(name), " license"))
			names = append(names, licensing.SplitLicenses(clip(name, 500))...)
		default:
			if m := commonLicense.FindStringSubmatch(line); m != nil {
				names = append(names, m[1])
			}
		}
	})
	if err != nil {
		return err
	}
	names = licenseNames(licensing.NormalizeLicenses(names))
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return errNothing
	}
	out.license, out.licenses = path.Base(path.Dir(f.path)), names
	return nil
}
