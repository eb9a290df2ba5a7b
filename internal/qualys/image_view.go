package qualys

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// imageSummary is what a list entry and the details of an image have in common.
type imageSummary struct {
	Created              millis       `json:"created"`
	Updated              millis       `json:"updated"`
	LastUsedDate         millis       `json:"lastUsedDate"`
	SHA                  string       `json:"sha"`
	UUID                 string       `json:"uuid"`
	ImageID              string       `json:"imageId"`
	Repo                 []repo       `json:"repo"`
	RepoDigests          []repoDigest `json:"repoDigests"`
	Size                 int64        `json:"size"`
	LastVMScanDate       millis       `json:"lastVmScanDate"`
	LastScanned          millis       `json:"lastScanned"`
	RegistryUUID         []string     `json:"registryUuid"` // null when there are none
	Source               []string     `json:"source"`
	IsDockerHubOfficial  bool         `json:"isDockerHubOfficial"`
	ScanType             *string      `json:"scanType"`
	ScanTypes            []string     `json:"scanTypes"`
	ScanErrorCode        *string      `json:"scanErrorCode"`
	ScanStatus           *string      `json:"scanStatus"`
	LastFoundOnHost      *struct{}    `json:"lastFoundOnHost"` // null: nothing runs here
	Author               *string      `json:"author"`
	IsInstrumented       bool         `json:"isInstrumented"`
	InstrumentedFrom     *string      `json:"instrumentedFrom"`
	InstrumentationState *string      `json:"instrumentationState"`
	AssociatedContainers int          `json:"associatedContainersCount"`
	AssociatedHosts      int          `json:"associatedHostsCount"`
	OperatingSystem      *string      `json:"operatingSystem"`
	Architecture         string       `json:"architecture"`
}

// listedImage is Qualys' Image: an entry of a list.
type listedImage struct {
	imageSummary
	Vulnerabilities *countsBySeverity `json:"vulnerabilities"` // of findings; null until the image is scanned
	scanDetails
}

type repo struct {
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
}

type repoDigest struct {
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
}

// scanStatus is what the state of an image is called. Qualys: SUCCESS is what clients wait for.
var scanStatus = map[tidewaiter.ImageState]string{
	tidewaiter.ImageJudged: "SUCCESS", tidewaiter.ImageFailed: "FAILED", tidewaiter.ImageWaiting: "",
}

// shaOf returns the name of an image: the digest of its config, which is what Docker calls the image id, without "sha256:".
// Qualys: sha is 64 hexadecimal digits and imageId its first 12.
func shaOf(i *tidewaiter.Image) string {
	return withoutAlgorithm(cmp.Or(i.ConfigDigest, i.Digest))
}

func imageIDOf(i *tidewaiter.Image) string { return cutHex(shaOf(i), 12) }

func cutHex(s string, n int) string { return s[:min(n, len(s))] }

func withoutAlgorithm(digest string) string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimSpace(digest), "sha256:"))
}

// uuidOf returns a UUID for an image, which has none with us: one of version 8 with the first 30 digits of the manifest's digest,
// so that it is always the same and leads back to the image.
func uuidOf(i *tidewaiter.Image) string {
	hex := withoutAlgorithm(i.Digest)
	if !validSHA.MatchString(hex) {
		return stableUUID("image " + i.Digest)
	}
	return hex[:8] + "-" + hex[8:12] + "-8" + hex[12:15] + "-a" + hex[15:18] + "-" + hex[18:30]
}

// digestOfUUID returns how the digest of the manifest begins that a UUID was made of.
func digestOfUUID(text string) (prefix string, ok bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if !imageUUID.MatchString(text) {
		return "", false
	}
	return "sha256:" + text[:8] + text[9:13] + text[15:18] + text[20:23] + text[24:], true
}

var imageUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$`)

func stableUUID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://tidewaiter.dev/"+name)).String()
}

func judgedAt(i *tidewaiter.Image) time.Time {
	if i.Judgement == nil {
		return time.Time{}
	}
	return i.Judgement.JudgedAt
}

func operatingSystemOf(i *tidewaiter.Image) string {
	if i.Judgement == nil || i.Judgement.Distribution == nil {
		return ""
	}
	d := i.Judgement.Distribution
	return cmp.Or(d.PrettyName, strings.TrimSpace(d.Family+" "+d.Release))
}

// summaryOfImage describes an image with its names and the registries that show it.
func summaryOfImage(i *tidewaiter.Image, updated time.Time, tags []tidewaiter.Tag, registries []string) imageSummary {
	out := imageSummary{
		Created: millis{i.CreatedAt}, Updated: millis{updated}, LastUsedDate: millis{lastSeen(tags)}, SHA: shaOf(i), UUID: uuidOf(i),
		ImageID: imageIDOf(i), Repo: []repo{}, RepoDigests: []repoDigest{}, Size: i.Size, LastVMScanDate: millis{judgedAt(i)},
		LastScanned: millis{judgedAt(i)}, RegistryUUID: registries, Source: []string{"REGISTRY"}, ScanTypes: []string{},
		ScanStatus: orNull(scanStatus[i.State]), Author: orNull(i.Config.Author), OperatingSystem: orNull(operatingSystemOf(i)),
		Architecture: i.Platform.Architecture,
	}
	if len(registries) == 0 {
		out.RegistryUUID = nil
	}
	if i.Judgement != nil {
		out.ScanTypes = []string{"STATIC"}
	}
	if i.State == tidewaiter.ImageFailed {
		out.ScanErrorCode = orNull(string(i.ErrorKind))
	}
	for n := range tags {
		out.add(&tags[n], i)
	}
	return out
}

// add adds one name of the image.
func (out *imageSummary) add(t *tidewaiter.Tag, i *tidewaiter.Image) {
	r := t.Repository
	out.Repo = append(out.Repo, repo{r.Host, r.Name, t.Name})
	digest := repoDigest{r.Host, r.Name, withoutAlgorithm(cmp.Or(i.Digest, t.Digest))}
	if !slices.Contains(out.RepoDigests, digest) {
		out.RepoDigests = append(out.RepoDigests, digest)
	}
	if r.Host == "docker.io" && strings.HasPrefix(r.Name, "library/") {
		out.IsDockerHubOfficial = true
	}
}

func lastSeen(tags []tidewaiter.Tag) time.Time {
	var last time.Time
	for _, t := range tags {
		if t.LastSeen.After(last) {
			last = t.LastSeen
		}
	}
	return last
}

func listedImageOf(row *control.ImageRow) listedImage {
	out := listedImage{imageSummary: summaryOfImage(row.Image, row.UpdatedAt, row.Tags, row.RegistryIDs)}
	if row.Judgement != nil {
		counts := countsOf(severityCounts(row.Judgement.Vulnerabilities))
		out.Vulnerabilities = &counts
	}
	return out
}
