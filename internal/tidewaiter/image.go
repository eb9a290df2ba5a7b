package tidewaiter

import (
	"strings"
	"time"
)

// Platform is what an image runs on.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
	OSVersion    string `json:"osVersion,omitempty"`
}

// String returns os/architecture[/variant].
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Matches reports whether an image for platform p serves where want is asked for. A variant is compared only when both
// name one.
func (p Platform) Matches(want Platform) bool {
	return strings.EqualFold(p.OS, want.OS) && strings.EqualFold(p.Architecture, want.Architecture) &&
		(p.Variant == "" || want.Variant == "" || p.Variant == want.Variant)
}

// ManifestKind says what a manifest is.
type ManifestKind string

// The manifest kinds.
const (
	ManifestImage    ManifestKind = "image"
	ManifestIndex    ManifestKind = "index"
	ManifestArtifact ManifestKind = "artifact" // signature, attestation, SBOM, chart: never shown as an image
)

// Descriptor points to content by digest.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"` // of what is not an image, where the index says it
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Platform     *Platform         `json:"platform,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Manifest is what a tag or digest leads to, parsed.
type Manifest struct {
	Kind         ManifestKind `json:"kind"`
	Digest       string       `json:"digest"`
	MediaType    string       `json:"mediaType"`
	ArtifactType string       `json:"artifactType,omitempty"`
	Size         int64        `json:"size"`
	Config       Descriptor   `json:"config,omitzero"`     // of an image
	Layers       []Descriptor `json:"layers,omitempty"`    // of an image, bottom first
	Manifests    []Descriptor `json:"manifests,omitempty"` // of an index
	CreatedAt    time.Time    `json:"createdAt,omitzero"`  // build time of the image, or of an index's first; zero until it was read
}

// LayerRef is one layer as an image refers to it.
type LayerRef struct {
	Digest    string    `json:"digest"` // of the compressed blob; what is pulled
	DiffID    string    `json:"diffID"` // of the uncompressed tar; what identifies the content
	MediaType string    `json:"mediaType"`
	Size      int64     `json:"size"` // compressed
	CreatedAt time.Time `json:"createdAt,omitzero"`
	CreatedBy string    `json:"createdBy,omitempty"`
}

// HistoryEntry is one step of how the image was built.
type HistoryEntry struct {
	CreatedAt  time.Time `json:"createdAt,omitzero"`
	CreatedBy  string    `json:"createdBy,omitempty"`
	Comment    string    `json:"comment,omitempty"`
	EmptyLayer bool      `json:"emptyLayer,omitempty"`
}

// ImageConfig is what the image's configuration says of how it runs and came to be.
type ImageConfig struct {
	User          string            `json:"user,omitempty"`
	Env           []string          `json:"env,omitempty"`
	Entrypoint    []string          `json:"entrypoint,omitempty"`
	Cmd           []string          `json:"cmd,omitempty"`
	WorkingDir    string            `json:"workingDir,omitempty"`
	ExposedPorts  []string          `json:"exposedPorts,omitempty"` // sorted, "22/tcp"
	Volumes       []string          `json:"volumes,omitempty"`      // sorted
	Labels        map[string]string `json:"labels,omitempty"`
	Healthcheck   []string          `json:"healthcheck,omitempty"` // the test; empty when there is none
	Author        string            `json:"author,omitempty"`
	DockerVersion string            `json:"dockerVersion,omitempty"`
	History       []HistoryEntry    `json:"history,omitempty"`
}

// ImageState is where an image is on its way to a verdict.
type ImageState string

// The image states.
const (
	ImageWaiting ImageState = "waiting" // for layers, or to be judged for the first time
	ImageJudged  ImageState = "judged"
	ImageFailed  ImageState = "failed" // no result yet, and the last attempt failed
)

// Image is one platform's manifest with its config and layers. It exists once, under however many names.
type Image struct {
	ID           int64
	Digest       string // of the manifest
	ConfigDigest string // what Docker calls the image id
	MediaType    string
	Platform     Platform
	Size         int64 // sum of the compressed layers
	CreatedAt    time.Time
	Layers       []LayerRef
	Config       ImageConfig
	State        ImageState
	ErrorKind    ErrorKind // of the last attempt, "" when it went well
	Error        string
	FirstSeen    time.Time
	Judgement    *Judgement // nil until it is judged
}

// Judgement is what is known of an image in numbers, and what policy makes of it.
type Judgement struct {
	Advisories      string // version of the advisories matched against; "" when there were none yet
	Analyzer        string
	JudgedAt        time.Time
	Distribution    *Distribution
	EndOfLife       bool // the distribution's release gets no more security updates
	Packages        int
	Vulnerabilities Counts
	Fixable         int
	Secrets         int
	Checks          Counts // failed ones
	RiskFactors     []RiskFactor
	Verdict         Verdict
	Incomplete      bool // something was cut short: see the content's notices
}

// Result is everything known of one image: what a page about it shows.
type Result struct {
	Image           *Image
	Tags            []Tag // every name that shows it
	RegistryIDs     []string
	Content         *Content
	Findings        map[int64][]Finding // by package
	Vulnerabilities map[string]*Vulnerability
	Threats         map[string]Threat // by vulnerability, as known when the result was read
	FirstFound      map[FindingKey]time.Time
	Checks          []Check
}

// FindingKey identifies a finding on an image across versions of the advisories.
type FindingKey struct {
	PackageID     int64
	Vulnerability string
}
