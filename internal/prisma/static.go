package prisma

import "net/http"

// staticVulnerabilities is what a console knows before it has scanned anything: the checks rules can list, and the kinds
// of vulnerabilities.
type staticVulnerabilities struct {
	ComplianceVulnerabilities []vulnerability `json:"complianceVulnerabilities"`
	CVEVulnerabilities        []vulnerability `json:"cveVulnerabilities"`
}

// imageChecks are the vendor's image checks that are carried out here. (Others of its checks need what an image at rest does
// not tell: malware feeds, trust groups, running containers.)
var imageChecks = []vulnerability{
	{ID: 41, Severity: "high", Title: "(CIS_Docker_v1.5.0 - 4.1) Image should be created with a non-root user"},
	{ID: 406, Severity: "medium", Title: "(CIS_Docker_v1.5.0 - 4.6) Add HEALTHCHECK instruction to the container image"},
	{ID: 424, Severity: "high", Title: "Sensitive information provided in environment variables"},
	{ID: 425, Severity: "high", Title: "Private keys stored in image"},
	{ID: 456, Severity: "high", Title: "Secrets in the image filesystem"},
}

// packageTitles say what a vulnerability's number means; see packageKinds.
var packageTitles = []vulnerability{
	{ID: 46, Title: "Image contains vulnerable OS packages"},
	{ID: 47, Title: "Image contains vulnerable Java archives"},
	{ID: 48, Title: "Image contains vulnerable Ruby gems"},
	{ID: 49, Title: "Image contains vulnerable Node.js packages"},
	{ID: 410, Title: "Image contains vulnerable Python packages"},
	{ID: 411, Title: "Image contains vulnerable applications"},
	{ID: 412, Title: "Image contains other vulnerable packages"},
	{ID: 415, Title: "Image contains vulnerable NuGet packages"},
	{ID: 416, Title: "Image contains vulnerable Go packages"},
}

func (s *server) getStaticVulnerabilities(w http.ResponseWriter, _ *http.Request) error {
	out := staticVulnerabilities{}
	for _, c := range imageChecks {
		c.Type = checkType(c.ID)
		out.ComplianceVulnerabilities = append(out.ComplianceVulnerabilities, complete(c))
	}
	for _, c := range packageTitles {
		c.Type = "image"
		out.CVEVulnerabilities = append(out.CVEVulnerabilities, complete(c))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func complete(v vulnerability) vulnerability {
	v.Templates, v.ApplicableRules = []string{}, []string{}
	return v
}
