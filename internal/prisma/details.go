package prisma

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// viewer turns rows into results: what one request asked for, and what all its results need.
type viewer struct {
	control *control.Control
	version string
	now     time.Time

	compact     bool
	normalized  bool
	layers      bool   // findings under the layers they come from
	withoutBase bool   // leave out findings that come from the base image
	issueType   string // "vulnerabilities" or "compliance" leaves the other out

	declared    policy.Declared
	types       map[string]string // registry type by host
	collections map[string]tidewaiter.Collection
	policies    map[tidewaiter.PolicyKind]*tidewaiter.Policy
}

// result describes a row as far as the request asks.
func (v *viewer) result(ctx context.Context, row *control.Row) (imageScanResult, error) {
	out := v.compactResult(row)
	if v.compact && !v.withoutBase {
		return out, nil
	}
	out.Binaries, out.StartupBinaries, out.Files = []binary{}, []binary{}, []struct{}{}
	out.Secrets, out.Applications, out.Layers = []string{}, []struct{}{}, []string{}
	if row.Image == nil {
		return out, nil
	}
	r, err := v.control.Result(ctx, row.Image.ID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return out, nil // retention took the image since the row was read
	}
	if err != nil {
		return out, err
	}
	if v.compact { // only the numbers without the base image were wanted
		judged := v.judged(r)
		judged.leaveOutBase(&out, v.normalized)
		return compacted(out), nil
	}
	v.addResult(&out, r)
	out.Collections = v.collectionsOf(&row.Tag, r.Image.Config.Labels) // the row need not know the labels
	return out, nil
}

// compacted takes out of a result what compact ones have not.
func compacted(out imageScanResult) imageScanResult {
	out.Binaries, out.StartupBinaries, out.Files, out.Secrets, out.Applications, out.Layers = nil, nil, nil, nil, nil, nil
	return out
}

// addAllCompliance adds the checks that passed, where the rule that decides asks for them.
func (v *viewer) addAllCompliance(out *imageScanResult, r *tidewaiter.Result, found judgement) {
	var names []string
	for i := range r.Tags {
		names = append(names, r.Tags[i].Reference())
	}
	rule := policy.RuleFor(v.policies[tidewaiter.PolicyCompliance], v.collections, names, r.Image.Config.Labels)
	if rule == nil || !rule.AllChecks || v.issueType == "vulnerabilities" {
		return
	}
	out.AllCompliance.Enabled = true
	for i := range r.Checks {
		if r.Checks[i].Passed {
			out.AllCompliance.Compliance = append(out.AllCompliance.Compliance, v.complianceIssue(&r.Checks[i], &found.outcome.Checks[i]))
		}
	}
}

// addResult adds everything that is known of an image.
func (v *viewer) addResult(out *imageScanResult, r *tidewaiter.Result) {
	addConfig(out, r.Image)
	out.Tags = nil
	for i := range r.Tags {
		out.Tags = append(out.Tags, tagOf(&r.Tags[i], r.Image))
		out.Image.RepoTags = append(out.Image.RepoTags, imageName(&r.Tags[i]))
	}
	out.Image.RepoDigest = out.RepoDigests
	times := layerTimes(r.Image)
	found := v.judged(r)
	out.BaseImage = strings.TrimPrefix(found.base, "docker.io/")
	if v.withoutBase {
		found.leaveOutBase(out, v.normalized)
	}
	if v.issueType != "compliance" {
		out.Vulnerabilities = v.vulnerabilities(r, found, times)
	}
	v.addAllCompliance(out, r, found)
	if v.issueType != "vulnerabilities" {
		out.ComplianceIssues = v.complianceIssues(r.Checks, found.outcome.Checks)
	}
	out.History = v.history(r.Image, out.Vulnerabilities, times, found.baseLayers)
	if r.Content == nil {
		return
	}
	out.Packages = packageGroups(r, times)
	out.PackageManager = hasPackageManager(r.Content)
	out.InstalledProducts.HasPackageManager = out.PackageManager
	if d := r.Content.Distribution; d != nil {
		out.OSDistroVersion, out.RHELRepos = d.Release, d.ContentSets
	}
	for _, s := range r.Content.Secrets {
		if !slices.Contains(out.Secrets, s.Path) {
			out.Secrets = append(out.Secrets, s.Path)
		}
		out.FoundSecrets = append(out.FoundSecrets, foundSecretOf(s))
	}
}

// addConfig adds what the image's configuration says.
func addConfig(out *imageScanResult, image *tidewaiter.Image) {
	for _, l := range image.Layers {
		out.Layers = append(out.Layers, l.DiffID)
	}
	if n := len(out.Layers); n > 0 {
		out.TopLayer = out.Layers[n-1]
	}
	c := image.Config
	out.Image.Entrypoint = slices.Concat(c.Entrypoint, c.Cmd)
	out.Image.Env, out.Image.Labels, out.Image.User, out.Image.WorkingDir = c.Env, c.Labels, c.User, c.WorkingDir
	out.Image.Healthcheck, out.Image.Layers = len(c.Healthcheck) > 0, out.Layers
	for key, value := range c.Labels {
		out.Labels = append(out.Labels, key+":"+value)
	}
	slices.Sort(out.Labels)
}

// judgement is the findings of a result with what policy makes of them, and of the checks.
type judgement struct {
	findings []policy.Finding
	tags     [][]policy.TagNote // of each finding
	outcome  policy.Outcome

	base       string // the image's base image, and how many layers are that one's
	baseLayers int
}

// leaveOutBase takes out what comes from the base image, and out of the numbers as well.
func (j *judgement) leaveOutBase(out *imageScanResult, normalized bool) {
	if j.baseLayers == 0 {
		return
	}
	kept := judgement{base: j.base, baseLayers: j.baseLayers, outcome: j.outcome}
	kept.outcome.Findings = nil
	var counts tidewaiter.Counts
	for i := range j.findings {
		if j.findings[i].Base {
			continue
		}
		counts.Add(policy.EffectiveSeverity(&j.findings[i]))
		kept.findings = append(kept.findings, j.findings[i])
		kept.tags = append(kept.tags, j.tags[i])
		kept.outcome.Findings = append(kept.outcome.Findings, j.outcome.Findings[i])
	}
	*j = kept
	out.VulnerabilitiesCount, out.VulnerabilityRiskScore = counts.Total(), counts.RiskScore()
	out.VulnerabilityDistribution = distributionOf(counts, normalized)
}

// judged asks policy about each finding and check of the result.
func (v *viewer) judged(r *tidewaiter.Result) judgement {
	in := policy.Input{
		Vulnerability: v.policies[tidewaiter.PolicyVulnerability], Compliance: v.policies[tidewaiter.PolicyCompliance],
		Collections: v.collections, Labels: r.Image.Config.Labels, Findings: policy.Findings(r), Checks: r.Checks,
		Content: r.Content, Config: &r.Image.Config, Now: v.now,
	}
	for i := range r.Tags {
		in.Names = append(in.Names, r.Tags[i].Reference())
	}
	j := judgement{findings: in.Findings, tags: make([][]policy.TagNote, len(in.Findings))}
	j.baseLayers, j.base = v.declared.Apply(r, in.Names, in.Findings)
	for i := range in.Findings {
		j.tags[i] = v.declared.Tags.Of(&in.Findings[i], in.Names, j.base)
	}
	j.outcome = policy.Evaluate(in)
	return j
}

// layerTimes returns when each layer was made, in seconds; 0 where nobody says.
func layerTimes(image *tidewaiter.Image) []int64 {
	out := make([]int64, len(image.Layers))
	for i, l := range image.Layers {
		out[i] = unix(l.CreatedAt)
	}
	return out
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// historyEntry is Prisma's ImageHistory: one step of how the image was built.
type historyEntry struct {
	Instruction     string          `json:"instruction"`
	SizeBytes       int64           `json:"sizeBytes"`
	ID              string          `json:"id"`
	Created         int64           `json:"created"`
	EmptyLayer      bool            `json:"emptyLayer"`
	BaseLayer       bool            `json:"baseLayer"`
	Tags            []string        `json:"tags,omitempty"`
	Vulnerabilities []vulnerability `json:"vulnerabilities,omitempty"`
}

// history pairs the steps that made a layer with the layers, in order. Findings appear under the layer they come from when
// the request asks for layers.
func (v *viewer) history(image *tidewaiter.Image, found []vulnerability, times []int64, baseLayers int) []historyEntry {
	byLayer := map[int][]vulnerability{}
	if v.layers {
		for _, f := range found {
			byLayer[f.layer] = append(byLayer[f.layer], f)
		}
	}
	out := []historyEntry{}
	next := 0
	add := func(e historyEntry) {
		if !e.EmptyLayer && next < len(image.Layers) {
			l := image.Layers[next]
			e.ID, e.SizeBytes, e.Created = l.DiffID, l.Size, cmp.Or(e.Created, times[next])
			e.Instruction = cmp.Or(e.Instruction, l.CreatedBy)
			e.Vulnerabilities, e.BaseLayer = byLayer[next], next < baseLayers
			next++
		}
		out = append(out, e)
	}
	for _, h := range image.Config.History {
		add(historyEntry{Instruction: h.CreatedBy, Created: unix(h.CreatedAt), EmptyLayer: h.EmptyLayer})
	}
	for next < len(image.Layers) { // a configuration need not tell its history
		add(historyEntry{})
	}
	return out
}

// foundSecret is Prisma's Secret inside an image: where it is, and its line with the secret starred out.
type foundSecret struct {
	Type           string `json:"type"`
	Path           string `json:"path"`
	LocationInFile string `json:"locationInFile"`
	Snippet        string `json:"snippet"`
}

// leakNames are the vendor's names for what our rules find; the rule's own title is used for the others.
var leakNames = map[string]string{ //nolint:gosec // names of what is found, not secrets
	"aws-access-key-id": "AWS Access Key ID", "aws-secret-access-key": "AWS Secret Key", "private-key": "Private Encryption Key",
	"github-pat": "GitHub Token", "github-oauth": "GitHub Token", "github-app-token": "GitHub Token", "github-fine-grained-pat": "GitHub Token",
	"gitlab-pat": "GitLab Token", "slack-access-token": "Slack Token", "slack-web-hook": "Slack Webhook",
	"gcp-service-account": "GCP Service Account Auth Key", "npm-access-token": "NPM Token", "pypi-upload-token": "Python Package Index Key (PYPI)",
	"grafana-api-token": "Grafana Token", "databricks-api-token": "Databricks Authentication Token", "typeform-api-token": "Typeform API Token",
}

func foundSecretOf(s tidewaiter.Secret) foundSecret {
	out := foundSecret{Type: cmp.Or(leakNames[s.Rule], s.Title), Path: s.Path, Snippet: s.Match}
	if s.StartLine > 0 {
		out.LocationInFile = strconv.Itoa(s.StartLine)
	}
	return out
}
