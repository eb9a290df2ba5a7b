package prisma

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// imageScanResult is Prisma's ImageScanResult: what is known of one image under one name. Fields about running containers
// and their hosts have the empty form clients expect; this product looks at registries only.
type imageScanResult struct {
	UID                       string               `json:"_id"`
	Type                      string               `json:"type"`
	Hostname                  string               `json:"hostname"`
	ScanTime                  time.Time            `json:"scanTime"`
	Binaries                  []binary             `json:"binaries"`
	Secrets                   []string             `json:"Secrets"` // the vendor's spelling
	StartupBinaries           []binary             `json:"startupBinaries"`
	OSDistro                  string               `json:"osDistro"`
	OSDistroVersion           string               `json:"osDistroVersion"`
	OSDistroRelease           string               `json:"osDistroRelease"`
	Distro                    string               `json:"distro"`
	Packages                  []packageGroup       `json:"packages"`
	Files                     []struct{}           `json:"files"`
	PackageManager            bool                 `json:"packageManager"`
	Applications              []struct{}           `json:"applications,omitzero"`
	IsARM64                   bool                 `json:"isARM64"`
	Image                     imageInfo            `json:"image"`
	History                   []historyEntry       `json:"history"`
	Layers                    []string             `json:"layers,omitzero"`
	TopLayer                  string               `json:"topLayer,omitempty"`
	ID                        string               `json:"id"`
	ComplianceIssues          []vulnerability      `json:"complianceIssues"`
	AllCompliance             allCompliance        `json:"allCompliance"`
	Vulnerabilities           []vulnerability      `json:"vulnerabilities"`
	RepoTag                   imageTag             `json:"repoTag"`
	Tags                      []imageTag           `json:"tags"`
	RepoDigests               []string             `json:"repoDigests"`
	CreationTime              time.Time            `json:"creationTime"`
	PushTime                  time.Time            `json:"pushTime"`
	VulnerabilitiesCount      int                  `json:"vulnerabilitiesCount"`
	ComplianceIssuesCount     int                  `json:"complianceIssuesCount"`
	VulnerabilityDistribution distribution         `json:"vulnerabilityDistribution"`
	ComplianceDistribution    distribution         `json:"complianceDistribution"`
	VulnerabilityRiskScore    int64                `json:"vulnerabilityRiskScore"`
	ComplianceRiskScore       int64                `json:"complianceRiskScore"`
	RiskFactors               map[string]struct{}  `json:"riskFactors"`
	BaseImage                 string               `json:"baseImage,omitempty"`
	FirstScanTime             time.Time            `json:"firstScanTime"`
	FoundSecrets              []foundSecret        `json:"foundSecrets,omitzero"`
	RHELRepos                 []string             `json:"rhelRepos,omitempty"`
	RegistryType              string               `json:"registryType"`
	Labels                    []string             `json:"labels"`
	Collections               []string             `json:"collections"`
	Err                       string               `json:"err"`
	ScanVersion               string               `json:"scanVersion"`
	ScanBuildDate             string               `json:"scanBuildDate"`
	InstalledProducts         installedProducts    `json:"installedProducts"`
	Hosts                     map[string]imageHost `json:"hosts"`
	Instances                 []imageInstance      `json:"instances"`
	FirewallProtection        firewallProtection   `json:"firewallProtection"`
	CloudMetadata             cloudMetadata        `json:"cloudMetadata"`
	ScanID                    int                  `json:"scanID"`
	TwistlockImage            bool                 `json:"twistlockImage"`
	Agentless                 bool                 `json:"agentless"`
	AppEmbedded               bool                 `json:"appEmbedded"`
	WildFireUsage             *struct{}            `json:"wildFireUsage"`
}

// allCompliance is Prisma's AllCompliance: the checks that passed, where the rule asks for them.
type allCompliance struct {
	Compliance []vulnerability `json:"compliance,omitempty"`
	Enabled    bool            `json:"enabled,omitempty"`
}

// imageTag is Prisma's ImageTag: one name of an image. The registry of Docker Hub is "".
type imageTag struct {
	Registry string `json:"registry"`
	Repo     string `json:"repo"`
	Tag      string `json:"tag"`
	Digest   string `json:"digest"`
	ID       string `json:"id"`
}

// imageInfo is Prisma's Image: what the image's configuration says.
type imageInfo struct {
	Created     time.Time         `json:"created"`
	ID          string            `json:"id,omitempty"`
	Entrypoint  []string          `json:"entrypoint,omitempty"`
	Env         []string          `json:"env,omitempty"`
	Healthcheck bool              `json:"healthcheck,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Layers      []string          `json:"layers,omitempty"`
	OS          string            `json:"os,omitempty"`
	RepoDigest  []string          `json:"repoDigest,omitempty"`
	RepoTags    []string          `json:"repoTags,omitempty"`
	User        string            `json:"user,omitempty"`
	WorkingDir  string            `json:"workingDir,omitempty"`
}

// distribution is Prisma's Distribution: how many of something by severity.
type distribution struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	Total    int `json:"total"`
}

// distributionOf counts what Prisma has no column for in the total only, or as low where severities are normalized.
func distributionOf(c tidewaiter.Counts, normalized bool) distribution {
	d := distribution{Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, Total: c.Total()}
	if normalized {
		d.Low += c.Negligible + c.Unknown
	}
	return d
}

type installedProducts struct {
	Docker            string `json:"docker"`
	OSDistro          string `json:"osDistro"`
	HasPackageManager bool   `json:"hasPackageManager"`
}

type firewallProtection struct {
	Enabled       bool   `json:"enabled"`
	Supported     bool   `json:"supported"`
	OutOfBandMode string `json:"outOfBandMode"`
}

type imageHost struct {
	Modified time.Time `json:"modified"`
}

type imageInstance struct {
	Image    string    `json:"image"`
	Host     string    `json:"host"`
	Modified time.Time `json:"modified"`
	Tag      string    `json:"tag"`
	Repo     string    `json:"repo"`
	Registry string    `json:"registry"`
}

type binary struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

// imageName returns how Prisma writes a name: registry/repo:tag, without a registry on Docker Hub.
func imageName(t *tidewaiter.Tag) string {
	name := t.Repository.Name + ":" + t.Name
	if host := shownHost(t.Repository.Host); host != "" {
		return host + "/" + name
	}
	return name
}

// shownHost returns how a host is shown: "" for Docker Hub.
func shownHost(host string) string {
	if tidewaiter.IsDockerHub(host) {
		return ""
	}
	return host
}

func tagOf(t *tidewaiter.Tag, image *tidewaiter.Image) imageTag {
	out := imageTag{Registry: shownHost(t.Repository.Host), Repo: t.Repository.Name, Tag: t.Name, Digest: t.Digest}
	if image != nil {
		out.ID = image.ConfigDigest
	}
	return out
}

// compactResult describes a row without what takes more than the row. Prisma: with compact, lists are null and the package
// manager and version unknown, while counts, scores, names and times are there.
func (v *viewer) compactResult(row *control.Row) imageScanResult {
	out := imageScanResult{
		UID: imageName(&row.Tag), Type: "registry", ScanVersion: v.version, RegistryType: v.types[row.Tag.Repository.Host],
		RepoTag: tagOf(&row.Tag, row.Image), PushTime: row.Tag.UpdatedAt.UTC(), Err: row.Tag.Error,
		Labels: []string{}, Hosts: map[string]imageHost{}, Instances: []imageInstance{}, RepoDigests: []string{},
		Collections: v.collectionsOf(&row.Tag, labelsOf(row.Image)),
	}
	out.Tags = []imageTag{out.RepoTag}
	image := row.Image
	if image == nil {
		return out
	}
	out.ID, out.IsARM64 = image.ConfigDigest, image.Platform.Architecture == "arm64"
	out.Image = imageInfo{Created: image.CreatedAt.UTC(), ID: image.ConfigDigest, OS: image.Platform.OS}
	out.CreationTime, out.FirstScanTime = image.CreatedAt.UTC(), image.FirstSeen.UTC()
	out.RepoDigests = []string{row.Tag.Repository.Name + "@" + image.Digest}
	if out.Err == "" {
		out.Err = image.Error
	}
	if j := image.Judgement; j != nil {
		v.addJudgement(&out, j)
	}
	return out
}

// addJudgement adds what is known in numbers.
func (v *viewer) addJudgement(out *imageScanResult, j *tidewaiter.Judgement) {
	out.ScanTime = j.JudgedAt.UTC()
	if d := j.Distribution; d != nil {
		out.OSDistro, out.OSDistroRelease, out.Distro = d.Family, d.Release, d.PrettyName
		out.InstalledProducts.OSDistro = d.PrettyName
	}
	out.VulnerabilitiesCount, out.ComplianceIssuesCount = j.Vulnerabilities.Total(), j.Checks.Total()
	out.VulnerabilityDistribution = distributionOf(j.Vulnerabilities, v.normalized)
	out.ComplianceDistribution = distributionOf(j.Checks, v.normalized)
	out.VulnerabilityRiskScore, out.ComplianceRiskScore = j.Vulnerabilities.RiskScore(), j.Checks.RiskScore()
	for _, f := range j.RiskFactors {
		if out.RiskFactors == nil {
			out.RiskFactors = map[string]struct{}{}
		}
		out.RiskFactors[string(f)] = struct{}{}
	}
}
