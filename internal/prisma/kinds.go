package prisma

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// versions pairs Prisma's registry types ("version") with kinds. The first line of a version is what it means, the first
// line of a kind how it is shown.
var versions = []struct {
	version string
	kind    tidewaiter.RegistryKind
}{
	{"2", tidewaiter.KindOCI},
	{"2", tidewaiter.KindDockerHub}, // when the address is Docker Hub's
	{"2", tidewaiter.KindGHCR},      // the vendor has no types of its own for these two
	{"2", tidewaiter.KindOCIR},
	{"aws", tidewaiter.KindECR},
	{"azure", tidewaiter.KindACR},
	{"bluemix", tidewaiter.KindIBM},
	{"coreos", tidewaiter.KindQuay},
	{"dtr", tidewaiter.KindDTR},
	{"gcr", tidewaiter.KindGAR},
	{"gitlab", tidewaiter.KindGitLab},
	{"harbor", tidewaiter.KindHarbor},
	{"jfrog", tidewaiter.KindArtifactory},
	{"redhat", tidewaiter.KindOpenShift},
	{"sonatype", tidewaiter.KindNexus},
	{"gar", tidewaiter.KindGAR}, // ours: Artifact Registry under its own name
	{"gcp", tidewaiter.KindGAR}, // ours: what scripts take from the vendor's cloud discovery
}

const knownVersions = "one of 2, aws, azure, bluemix, coreos, dtr, gcr, gitlab, harbor, jfrog, redhat, sonatype (or gar, gcp for gcr)"

// kindOf returns what a specification's version means for an address as ParseRegistryURL returns it.
func kindOf(version, registryURL string) (tidewaiter.RegistryKind, error) {
	for _, v := range versions {
		if v.version != version {
			continue
		}
		if v.kind == tidewaiter.KindOCI {
			return v2Kind(registryURL), nil
		}
		return v.kind, nil
	}
	if version == "" {
		return "", tidewaiter.Invalid("version", "the registry type is missing").WithFix(knownVersions)
	}
	return "", tidewaiter.Invalid("version", "unknown registry type %q", cut(version, 40)).WithFix(knownVersions)
}

// v2Kind tells the Docker v2 registries that have an API of their own by their host.
func v2Kind(registryURL string) tidewaiter.RegistryKind {
	switch host := tidewaiter.HostOf(registryURL); {
	case host == "docker.io":
		return tidewaiter.KindDockerHub
	case host == "ghcr.io":
		return tidewaiter.KindGHCR
	case strings.HasSuffix(host, ".ocir.io"):
		return tidewaiter.KindOCIR
	}
	return tidewaiter.KindOCI
}

// versionOf returns how a kind is shown.
func versionOf(kind tidewaiter.RegistryKind) string {
	for _, v := range versions {
		if v.kind == kind {
			return v.version
		}
	}
	return "2"
}
