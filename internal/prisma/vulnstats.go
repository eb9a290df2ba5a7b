package prisma

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// vulnerabilityStats is Prisma's VulnerabilityStats. Everything here is an image in a registry; the other kinds of resource
// have empty numbers.
type vulnerabilityStats struct {
	ID             string        `json:"_id"`
	Modified       time.Time     `json:"modified"`
	Containers     resourceStats `json:"containers"`
	Functions      resourceStats `json:"functions"`
	Hosts          resourceStats `json:"hosts"`
	Images         resourceStats `json:"images"`
	RegistryImages resourceStats `json:"registryImages"`
}

// resourceStats is Prisma's ResourceVulnerabilityStats.
type resourceStats struct {
	Count           int                 `json:"count"`
	CVEs            distribution        `json:"cves"`     // vulnerabilities by severity
	Impacted        distribution        `json:"impacted"` // images by their worst vulnerability
	Vulnerabilities []vulnerabilityInfo `json:"vulnerabilities"`
}

// vulnerabilityInfo is Prisma's VulnerabilityInfo: one vulnerability across all images.
type vulnerabilityInfo struct {
	CVE                  string              `json:"cve"`
	Description          string              `json:"description"`
	Status               string              `json:"status"`
	RiskScore            float64             `json:"riskScore"`
	HighestSeverity      string              `json:"highestSeverity"`
	HighestCVSS          float64             `json:"highestCVSS"`
	ImpactedPkgs         []string            `json:"impactedPkgs"`
	ImpactedResourceType string              `json:"impactedResourceType"`
	ImpactedResourcesCnt int                 `json:"impactedResourcesCnt"`
	Link                 string              `json:"link"`
	Exploits             []exploit           `json:"exploits"`
	RiskFactors          map[string]struct{} `json:"riskFactors"`
}

// fleetStats is what the numbers are made from.
type fleetStats struct {
	at       time.Time
	counts   []control.VulnerabilityCount // worst first
	impacted tidewaiter.Counts
}

// statsQuery is which vulnerabilities are asked for.
type statsQuery struct {
	cve, resource string
	severity      tidewaiter.Severity
	cvss          float64
	packages      []string
	factors       []string
	fresh         bool
	sort          string
	reverse       bool
}

func statsQueryOf(q query) (statsQuery, error) {
	out := statsQuery{cve: q.text("cve"), resource: q.text("resourceType"), packages: q.list("packages"), sort: q.text("sort"),
		factors: q.list("riskFactors"), reverse: q.flag("reverse")}
	if text := q.text("severityThreshold"); text != "" {
		severity, err := tidewaiter.ParseSeverity(text)
		if err != nil {
			return out, tidewaiter.Invalid("severityThreshold", "unknown severity %q", cut(text, 40)).WithFix("one of low, medium, high, critical")
		}
		out.severity = severity
	}
	if text := q.text("cvssThreshold"); text != "" {
		score, err := strconv.ParseFloat(text, 64)
		if err != nil || !(score >= 0 && score <= 10) {
			return out, tidewaiter.Invalid("cvssThreshold", "%q is not a score of 0 to 10", cut(text, 40))
		}
		out.cvss = score
	}
	known := []string{"", "container", "image", "host", "istio", "vm", "function", "registryImage"}
	if !slices.Contains(known, out.resource) {
		return out, tidewaiter.Invalid("resourceType", "unknown resource type %q", cut(out.resource, 40)).WithFix("registryImage, or leave it out")
	}
	for _, f := range out.factors {
		if strings.Contains(f, "|") || !strings.Contains(riskFactors, "|"+f+"|") {
			return out, tidewaiter.Invalid("riskFactors", "unknown risk factor %q", cut(f, 60))
		}
	}
	return out, nil
}

// getVulnerabilityStats answers with the vulnerabilities of all images, the riskiest first.
func (s *server) getVulnerabilityStats(w http.ResponseWriter, r *http.Request) error {
	return s.vulnerabilityStats(w, r, false)
}

// refreshVulnerabilityStats does the same after counting anew.
func (s *server) refreshVulnerabilityStats(w http.ResponseWriter, r *http.Request) error {
	return s.vulnerabilityStats(w, r, true)
}

func (s *server) vulnerabilityStats(w http.ResponseWriter, r *http.Request, fresh bool) error {
	ctx, q := r.Context(), queryOf(r.URL)
	p, err := q.page()
	if err != nil {
		return err
	}
	sq, err := statsQueryOf(q)
	if err != nil {
		return err
	}
	sq.fresh = fresh
	fleet, chosen, err := s.chosenVulnerabilities(ctx, &sq)
	if err != nil {
		return err
	}
	empty := resourceStats{Vulnerabilities: []vulnerabilityInfo{}}
	out := vulnerabilityStats{ID: fleet.at.UTC().Format(time.DateOnly), Modified: fleet.at.UTC(), Containers: empty, Functions: empty,
		Hosts: empty, Images: empty, RegistryImages: empty}
	var counts tidewaiter.Counts
	for i := range chosen {
		counts.Add(chosen[i].Severity)
	}
	stats := &out.RegistryImages
	stats.Count, stats.CVEs, stats.Impacted = len(chosen), distributionOf(counts, false), distributionOf(fleet.impacted, false)
	totalCount(w, len(chosen))
	chosen = chosen[min(p.offset, len(chosen)):]
	if stats.Vulnerabilities, err = s.vulnerabilityInfos(ctx, chosen[:min(p.limit, len(chosen))]); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, []vulnerabilityStats{out})
	return nil
}

// chosenVulnerabilities returns the numbers of the fleet, and the vulnerabilities a query asks for in its order.
func (s *server) chosenVulnerabilities(ctx context.Context, q *statsQuery) (*fleetStats, []control.VulnerabilityCount, error) {
	slices.Sort(q.packages)
	fleet, err := s.vulnStats.get(ctx, strings.Join(q.packages, ","), q.fresh, func(ctx context.Context) (*fleetStats, error) {
		counts, err := s.control.VulnerabilityCounts(ctx, q.packages, q.fresh)
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(counts, func(a, b control.VulnerabilityCount) int {
			return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Score, a.Score), cmp.Compare(b.Images, a.Images))
		})
		worst, err := s.control.ImagesByWorst(ctx)
		return &fleetStats{at: s.now(), counts: counts, impacted: worst}, err
	})
	if err != nil {
		return nil, nil, err
	}
	if q.resource != "" && q.resource != "registryImage" {
		return &fleetStats{at: fleet.at}, nil, nil
	}
	chosen := []control.VulnerabilityCount{}
	for _, v := range fleet.counts {
		if v.Severity >= q.severity && v.Score >= q.cvss && strings.Contains(strings.ToUpper(v.Name), strings.ToUpper(q.cve)) {
			chosen = append(chosen, v)
		}
	}
	if len(q.factors) > 0 {
		if chosen, err = s.withFactors(ctx, chosen, q.factors); err != nil {
			return nil, nil, err
		}
	}
	q.order(chosen)
	return fleet, chosen, nil
}

// order sorts by the vendor's names of columns; by risk where it names none.
func (q *statsQuery) order(list []control.VulnerabilityCount) {
	var by func(a, b control.VulnerabilityCount) int
	switch q.sort {
	case "cve":
		by = func(a, b control.VulnerabilityCount) int { return strings.Compare(a.Name, b.Name) }
	case "impactedResourcesCnt":
		by = func(a, b control.VulnerabilityCount) int { return cmp.Compare(a.Images, b.Images) }
	case "highestCVSS":
		by = func(a, b control.VulnerabilityCount) int { return cmp.Compare(a.Score, b.Score) }
	case "highestSeverity", "riskScore":
		by = func(a, b control.VulnerabilityCount) int {
			return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Score, b.Score), cmp.Compare(a.Images, b.Images))
		}
	default:
		return
	}
	slices.SortStableFunc(list, by)
	if q.reverse {
		slices.Reverse(list)
	}
}

// withFactors keeps the vulnerabilities that have all of the risk factors.
func (s *server) withFactors(ctx context.Context, list []control.VulnerabilityCount, factors []string) ([]control.VulnerabilityCount, error) {
	infos, err := s.vulnerabilityInfos(ctx, list)
	if err != nil {
		return nil, err
	}
	var out []control.VulnerabilityCount
	for i := range infos {
		if !slices.ContainsFunc(factors, func(f string) bool { _, has := infos[i].RiskFactors[f]; return !has }) {
			out = append(out, list[i])
		}
	}
	return out, nil
}

// maxImpactedPkgs is how many packages an entry names.
const maxImpactedPkgs = 50

// vulnerabilityInfos describes vulnerabilities, in their order.
func (s *server) vulnerabilityInfos(ctx context.Context, list []control.VulnerabilityCount) ([]vulnerabilityInfo, error) {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	details, err := s.control.Vulnerabilities(ctx, names)
	if err != nil {
		return nil, err
	}
	packages, err := s.control.VulnerablePackages(ctx, names)
	if err != nil {
		return nil, err
	}
	threats, err := s.control.Threats(ctx, names)
	if err != nil {
		return nil, err
	}
	out := make([]vulnerabilityInfo, len(list))
	for i := range list {
		out[i] = s.vulnerabilityInfo(&list[i], details[list[i].Name], packages[list[i].Name], threats[list[i].Name].Exploited())
	}
	return out, nil
}

func (s *server) vulnerabilityInfo(v *control.VulnerabilityCount, d *tidewaiter.Vulnerability, packages []control.VulnerablePackage, exploited bool) vulnerabilityInfo {
	out := vulnerabilityInfo{CVE: v.Name, HighestSeverity: v.Severity.String(), ImpactedPkgs: []string{}, Exploits: []exploit{},
		ImpactedResourceType: "registryImage", ImpactedResourcesCnt: v.Images, RiskFactors: map[string]struct{}{}}
	if v.Severity == tidewaiter.SeverityUnknown {
		out.HighestSeverity = "not yet assigned"
	}
	var described vulnerability
	if d != nil {
		described.addDetails(d)
	}
	if exploited {
		described.addExploited()
	}
	var factors policy.Factors
	for i := range packages {
		p := &packages[i]
		described.Link = cmp.Or(described.Link, p.URL)
		factors |= policy.FindingFactors(&policy.Finding{Finding: p.Finding, Details: d, Exploited: exploited}, s.now())
		if out.Status == "" || p.FixedIn != "" {
			out.Status = status(&p.Finding)
		}
		if len(out.ImpactedPkgs) < maxImpactedPkgs && !slices.Contains(out.ImpactedPkgs, p.Name) {
			out.ImpactedPkgs = append(out.ImpactedPkgs, p.Name)
		}
	}
	for _, f := range factors.List() {
		out.RiskFactors[string(f)] = struct{}{}
	}
	out.Description, out.HighestCVSS, out.Link = described.Description, described.CVSS, described.Link
	out.Exploits = append(out.Exploits, described.Exploits...)
	out.RiskScore = out.HighestCVSS * 10 // ours: 0 to 100, as far as an image at rest tells
	return out
}

// downloadVulnerabilityStats answers with the same as a file. The columns are ours.
func (s *server) downloadVulnerabilityStats(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	sq, err := statsQueryOf(queryOf(r.URL))
	if err != nil {
		return err
	}
	_, chosen, err := s.chosenVulnerabilities(ctx, &sq)
	if err != nil {
		return err
	}
	t := newTable(w, "vulnerabilities.csv", "CVE ID", "Severity", "CVSS", "Risk Score", "Status", "Packages", "Registry Images", "Risk Factors", "Link", "Description")
	for part := range slices.Chunk(chosen, rowsAtOnce) {
		infos, err := s.vulnerabilityInfos(ctx, part)
		if err != nil {
			return t.broken(err)
		}
		for _, v := range infos {
			t.add(v.CVE, v.HighestSeverity, csvScore(v.HighestCVSS), csvScore(v.RiskScore), v.Status, strings.Join(v.ImpactedPkgs, ","),
				strconv.Itoa(v.ImpactedResourcesCnt), joinKeys(v.RiskFactors), v.Link, v.Description)
		}
	}
	return t.end()
}

func csvScore(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

func joinKeys(m map[string]struct{}) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return strings.Join(keys, ",")
}
