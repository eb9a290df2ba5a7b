package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// typeRelease is of files that tell the distribution.
const typeRelease = "release"

// distributionFile is what one file says of the distribution. Where a layer's files disagree, the highest weight speaks:
// a derived distribution keeps its parent's files, and the own release file is more exact than os-release.
type distributionFile struct {
	weight int
	tidewaiter.Distribution
}

const (
	weightPretty  = iota // tells the pretty name only
	weightGuess          // os-release of a distribution that usually has a better file
	weightParent         // debian_version, redhat-release: derived distributions have them too
	weightRelease        // os-release
	weightOwn            // the distribution's own file
)

// decideDistribution settles what a layer's files say; nil when they say nothing.
func decideDistribution(files []distributionFile) *tidewaiter.Distribution {
	if len(files) == 0 {
		return nil
	}
	slices.SortStableFunc(files, func(a, b distributionFile) int {
		return cmp.Or(b.weight-a.weight, strings.Compare(b.Family, a.Family), strings.Compare(b.Release, a.Release))
	})
	d := files[0].Distribution
	for _, f := range files {
		d.PrettyName = cmp.Or(d.PrettyName, f.PrettyName)
	}
	return &d
}

// families are the ids of os-release by which Trivy knows a distribution.
var families = map[string]ftypes.OSType{
	"activestate": ftypes.ActiveState, "rhel": ftypes.RedHat, "centos": ftypes.CentOS, "rocky": ftypes.Rocky,
	"almalinux": ftypes.Alma, "ol": ftypes.Oracle, "fedora": ftypes.Fedora, "alpine": ftypes.Alpine,
	"bottlerocket": ftypes.Bottlerocket, "opensuse-tumbleweed": ftypes.OpenSUSETumbleweed,
	"opensuse-leap": ftypes.OpenSUSELeap, "opensuse": ftypes.OpenSUSELeap, "sles": ftypes.SLES,
	"sle-micro": ftypes.SLEMicro, "sl-micro": ftypes.SLEMicro, "sle-micro-rancher": ftypes.SLEMicro,
	"photon": ftypes.Photon, "wolfi": ftypes.Wolfi, "chainguard": ftypes.Chainguard, "azurelinux": ftypes.Azure,
	"mariner": ftypes.CBLMariner, "echo": ftypes.Echo, "minimos": ftypes.MinimOS, "coreos": ftypes.CoreOS,
	"ubuntu": ftypes.Ubuntu,
}

// guesses are ids whose distributions are told better by a file of their own, which an image may lack.
var guesses = map[string]ftypes.OSType{"debian": ftypes.Debian, "amzn": ftypes.Amazon}

// parseOSRelease reads os-release (freedesktop: os-release(5)).
func parseOSRelease(ctx context.Context, _ *Engine, f *file, out *found) error {
	fields := map[string]string{}
	if err := eachLine(ctx, f, func(line string) {
		if key, value, ok := strings.Cut(line, "="); ok && len(fields) < 100 {
			fields[strings.TrimSpace(key)] = clip(strings.Trim(strings.TrimSpace(value), `"'`), 200)
		}
	}); err != nil {
		return err
	}
	d := distributionFile{weight: weightRelease}
	d.PrettyName = fields["PRETTY_NAME"]
	id := fields["ID"]
	family, known := families[id]
	if !known {
		family, known = guesses[id]
		d.weight = weightGuess
	}
	switch {
	case known && fields["VERSION_ID"] != "":
		d.Family, d.Release = string(family), fields["VERSION_ID"]
	case d.PrettyName == "":
		return errNothing
	default:
		d.weight = weightPretty
	}
	if id == "centos" && fields["NAME"] == "CentOS Stream" {
		d.Family = string(ftypes.CentOSStream)
	}
	out.distributions = append(out.distributions, d)
	return nil
}

// releaseFile is a file whose first line is the release of a family.
func releaseFile(family string) *kind {
	return &kind{name: typeRelease, parse: func(ctx context.Context, _ *Engine, f *file, out *found) error {
		line, err := firstLine(ctx, f)
		if err != nil {
			return err
		}
		weight := weightOwn
		if family == string(ftypes.Debian) {
			weight = weightParent
		}
		return out.release(weight, family, line)
	}}
}

// parseLSBRelease reads Ubuntu's release.
func parseLSBRelease(ctx context.Context, _ *Engine, f *file, out *found) error {
	ubuntu, release := false, ""
	if err := eachLine(ctx, f, func(line string) {
		ubuntu = ubuntu || line == "DISTRIB_ID=Ubuntu"
		if v, ok := strings.CutPrefix(line, "DISTRIB_RELEASE="); ok && ubuntu {
			release = strings.TrimSpace(v)
		}
	}); err != nil {
		return err
	}
	return out.release(weightOwn, string(ftypes.Ubuntu), release)
}

var redHatRelease = regexp.MustCompile(`(.*) release (\d[\d.]*)`)

// parseRedHatRelease reads the release file of Red Hat or a distribution made of it: "Rocky Linux release 9.4 (Blue Onyx)".
func parseRedHatRelease(ctx context.Context, _ *Engine, f *file, out *found) error {
	line, err := firstLine(ctx, f)
	if err != nil {
		return err
	}
	m := redHatRelease.FindStringSubmatch(line)
	if m == nil {
		return errNothing
	}
	weight, family := weightOwn, ftypes.RedHat
	switch name := strings.ToLower(m[1]); {
	case name == "centos stream":
		family = ftypes.CentOSStream
	case strings.HasPrefix(name, "centos"):
		family = ftypes.CentOS
	case strings.HasPrefix(name, "rocky"):
		family = ftypes.Rocky
	case strings.HasPrefix(name, "alma"):
		family = ftypes.Alma
	case strings.HasPrefix(name, "oracle"):
		family = ftypes.Oracle
	case strings.HasPrefix(name, "fedora"):
		family = ftypes.Fedora
	default:
		weight = weightParent
	}
	return out.release(weight, string(family), m[2])
}

// parseAmazonRelease reads "Amazon Linux release 2 (Karoo)" and "Amazon Linux AMI release 2018.03", as Trivy does: the
// release is all that follows the name.
func parseAmazonRelease(ctx context.Context, _ *Engine, f *file, out *found) error {
	line, err := firstLine(ctx, f)
	if err != nil {
		return err
	}
	words := strings.Fields(line)
	switch {
	case strings.HasPrefix(line, "Amazon Linux release 2") && len(words) >= 4:
		return out.release(weightOwn, string(ftypes.Amazon), strings.Join(words[3:], " "))
	case strings.HasPrefix(line, "Amazon Linux") && len(words) > 2:
		return out.release(weightOwn, string(ftypes.Amazon), strings.Join(words[2:], " "))
	}
	return errNothing
}

func (f *found) release(weight int, family, release string) error {
	if release == "" {
		return errNothing
	}
	f.distributions = append(f.distributions, distributionFile{
		weight: weight, Distribution: tidewaiter.Distribution{Family: family, Release: clip(release, 200)},
	})
	return nil
}

func firstLine(ctx context.Context, f *file) (line string, err error) {
	first := true
	err = eachLine(ctx, f, func(s string) {
		if first {
			line, first = strings.TrimSpace(s), false
		}
	})
	return line, err
}

// parseContentManifest reads the repositories a layer's packages were installed from. Red Hat: content manifests.
func parseContentManifest(ctx context.Context, _ *Engine, f *file, out *found) error {
	var manifest struct {
		ContentSets []string `json:"content_sets"`
	}
	if err := json.NewDecoder(f.reader(ctx)).Decode(&manifest); err != nil {
		return err
	}
	if len(manifest.ContentSets) == 0 || len(manifest.ContentSets) > 1000 {
		return errNothing
	}
	out.contentSets = manifest.ContentSets
	return nil
}

// parseUbuntuPro reads whether packages come from Ubuntu's extended maintenance, which has advisories of its own.
func parseUbuntuPro(ctx context.Context, _ *Engine, f *file, out *found) error {
	var status struct {
		Services []struct{ Name, Status string } `json:"services"`
	}
	if err := json.NewDecoder(f.reader(ctx)).Decode(&status); err != nil {
		return err
	}
	for _, s := range status.Services {
		if s.Name == "esm-infra" && s.Status == "enabled" {
			out.contentSets = []string{esmSet}
			return nil
		}
	}
	return errNothing
}
