package store

import (
	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type storedImage struct {
	bun.BaseModel `bun:"table:images,alias:i"`

	ID           int64 `bun:",pk,nullzero"`
	Digest       string
	ConfigDigest string
	MediaType    string
	OS           string `bun:"os"`
	Architecture string
	Variant      string
	OSVersion    string `bun:"os_version"`
	Size         int64
	CreatedAt    int64
	Doc          []byte
	State        string
	ErrorKind    string
	Error        string
	FirstSeen    int64
	UpdatedAt    int64
	judgementRow `bun:"embed:"`
}

// judgementRow is the part of an image's row that SaveJudgement writes.
type judgementRow struct {
	FirstJudged     int64
	Advisories      string
	Analyzer        string
	JudgedAt        int64
	DistroFamily    string
	DistroRelease   string
	DistroName      string
	EndOfLife       bool
	Packages        int64
	VulnCritical    int64
	VulnHigh        int64
	VulnMedium      int64
	VulnLow         int64
	VulnNegligible  int64
	VulnUnknown     int64
	Fixable         int64
	Secrets         int64
	CheckCritical   int64
	CheckHigh       int64
	CheckMedium     int64
	CheckLow        int64
	CheckNegligible int64
	CheckUnknown    int64
	VulnRisk        int64
	CheckRisk       int64
	Worst           int64
	Verdict         string
	Alerts          int64
	Blocks          int64
	Incomplete      bool
	Judgement       string
	FindingsSeen    int64 // the generation its findings were read at; 0 when nobody can say
}

// imageDocument is what of an image is only ever read as a whole.
type imageDocument struct {
	Layers []tidewaiter.LayerRef  `json:"layers,omitempty"`
	Config tidewaiter.ImageConfig `json:"config"`
}

// judgementDocument is what of a judgement has no column.
type judgementDocument struct {
	ContentSets []string                `json:"contentSets,omitempty"`
	RiskFactors []tidewaiter.RiskFactor `json:"riskFactors,omitempty"`
	Verdict     tidewaiter.Verdict      `json:"verdict"`
}

func (r *Reader) storedImageOf(img *tidewaiter.Image, now int64) (storedImage, error) {
	doc, err := r.codec.packJSON(imageDocument{img.Layers, img.Config})
	p := img.Platform
	return storedImage{
		Digest: text(img.Digest), ConfigDigest: text(img.ConfigDigest), MediaType: text(img.MediaType),
		OS: text(p.OS), Architecture: text(p.Architecture), Variant: text(p.Variant), OSVersion: text(p.OSVersion),
		Size: img.Size, CreatedAt: micros(img.CreatedAt), Doc: doc, State: string(tidewaiter.ImageWaiting),
		FirstSeen: now, UpdatedAt: now,
	}, err
}

// image reads a row. A row selected without its document gives an image without layers and config.
func (r *Reader) image(row *storedImage) (*tidewaiter.Image, error) {
	img := &tidewaiter.Image{
		ID: row.ID, Digest: row.Digest, ConfigDigest: row.ConfigDigest, MediaType: row.MediaType,
		Platform: tidewaiter.Platform{OS: row.OS, Architecture: row.Architecture, Variant: row.Variant, OSVersion: row.OSVersion},
		Size:     row.Size, CreatedAt: timeOf(row.CreatedAt), State: tidewaiter.ImageState(row.State),
		ErrorKind: tidewaiter.ErrorKind(row.ErrorKind), Error: row.Error, FirstSeen: timeOf(row.FirstSeen),
	}
	var doc imageDocument
	if err := r.codec.unpackJSON(row.Doc, &doc); err != nil {
		return nil, err
	}
	img.Layers, img.Config = doc.Layers, doc.Config
	if row.JudgedAt == 0 {
		return img, nil
	}
	var err error
	img.Judgement, err = row.judgement()
	return img, err
}

func (row *judgementRow) judgement() (*tidewaiter.Judgement, error) {
	var rest judgementDocument
	if err := fromText(row.Judgement, &rest); err != nil {
		return nil, err
	}
	j := &tidewaiter.Judgement{
		Advisories: row.Advisories, Analyzer: row.Analyzer, JudgedAt: timeOf(row.JudgedAt), EndOfLife: row.EndOfLife,
		Packages: int(row.Packages), Fixable: int(row.Fixable), Secrets: int(row.Secrets), Incomplete: row.Incomplete,
		Vulnerabilities: tidewaiter.Counts{
			Critical: int(row.VulnCritical), High: int(row.VulnHigh), Medium: int(row.VulnMedium),
			Low: int(row.VulnLow), Negligible: int(row.VulnNegligible), Unknown: int(row.VulnUnknown),
		},
		Checks: tidewaiter.Counts{
			Critical: int(row.CheckCritical), High: int(row.CheckHigh), Medium: int(row.CheckMedium),
			Low: int(row.CheckLow), Negligible: int(row.CheckNegligible), Unknown: int(row.CheckUnknown),
		},
		RiskFactors: rest.RiskFactors, Verdict: rest.Verdict,
	}
	if row.DistroFamily != "" || row.DistroRelease != "" {
		j.Distribution = &tidewaiter.Distribution{
			Family: row.DistroFamily, Release: row.DistroRelease, PrettyName: row.DistroName, ContentSets: rest.ContentSets,
		}
	}
	return j, nil
}

// judgementRowOf leaves FirstJudged to the database.
func judgementRowOf(j *tidewaiter.Judgement) (judgementRow, error) {
	v, c := j.Vulnerabilities, j.Checks
	row := judgementRow{
		Advisories: j.Advisories, Analyzer: j.Analyzer, JudgedAt: micros(j.JudgedAt), EndOfLife: j.EndOfLife,
		Packages: int64(j.Packages), Fixable: int64(j.Fixable), Secrets: int64(j.Secrets), Incomplete: j.Incomplete,
		VulnCritical: int64(v.Critical), VulnHigh: int64(v.High), VulnMedium: int64(v.Medium),
		VulnLow: int64(v.Low), VulnNegligible: int64(v.Negligible), VulnUnknown: int64(v.Unknown),
		CheckCritical: int64(c.Critical), CheckHigh: int64(c.High), CheckMedium: int64(c.Medium),
		CheckLow: int64(c.Low), CheckNegligible: int64(c.Negligible), CheckUnknown: int64(c.Unknown),
		VulnRisk: v.RiskScore(), CheckRisk: c.RiskScore(), Worst: worstOf(v),
		Verdict: string(j.Verdict.Effect), Alerts: int64(j.Verdict.Alerts), Blocks: int64(j.Verdict.Blocks),
	}
	rest := judgementDocument{RiskFactors: j.RiskFactors, Verdict: j.Verdict}
	if d := j.Distribution; d != nil {
		row.DistroFamily, row.DistroRelease, row.DistroName = text(d.Family), text(d.Release), text(d.PrettyName)
		rest.ContentSets = d.ContentSets
	}
	var err error
	row.Judgement, err = jsonText(rest)
	return row, err
}

// worstOf is the worst severity that occurs, and -1 when there is nothing at all, which SeverityUnknown is not.
func worstOf(c tidewaiter.Counts) int64 {
	if c.Total() == 0 {
		return -1
	}
	return int64(c.Worst())
}

// imageColumns are the columns of a list entry: all but the document.
const imageColumns = `i.id, i.digest, i.config_digest, i.media_type, i.os, i.architecture, i.variant, i.os_version, i.size,
	i.created_at, i.state, i.error_kind, i.error, i.first_seen, i.updated_at, ` + judgementColumns

const judgementColumns = `i.first_judged, i.advisories, i.analyzer, i.judged_at, i.distro_family, i.distro_release,
	i.distro_name, i.end_of_life, i.packages, i.vuln_critical, i.vuln_high, i.vuln_medium, i.vuln_low, i.vuln_negligible,
	i.vuln_unknown, i.fixable, i.secrets, i.check_critical, i.check_high, i.check_medium, i.check_low, i.check_negligible,
	i.check_unknown, i.vuln_risk, i.check_risk, i.worst, i.verdict, i.alerts, i.blocks, i.incomplete, i.judgement, i.findings_seen`
