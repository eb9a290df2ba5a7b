package qualys

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// software is Qualys' Software: one package of an image.
type software struct {
	Name            string          `json:"name"`
	Version         string          `json:"version"`
	FixVersion      *string         `json:"fixVersion"` // of the first vulnerability that has one
	PackagePath     *string         `json:"packagePath"`
	ScanType        string          `json:"scanType"`        // OS or SCA
	Vulnerabilities []vulnerability `json:"vulnerabilities"` // null where software is part of a vulnerability

	id int64
}

func softwareFor(p *tidewaiter.Package, path string) software {
	kind := "SCA"
	if p.Ecosystem.OS() {
		kind = "OS"
	}
	return software{Name: p.Name, Version: p.FullVersion(), PackagePath: orNull(path), ScanType: kind, id: p.ID}
}

// pathsOf returns where packages were found, the first place of each.
func pathsOf(c *tidewaiter.Content) map[int64]string {
	out := map[int64]string{}
	if c == nil {
		return out
	}
	for _, in := range c.Installed {
		if in.Package != nil && out[in.Package.ID] == "" {
			out[in.Package.ID] = in.Path
		}
	}
	return out
}

// softwareOf lists an image's packages by name, each with its vulnerabilities.
func softwareOf(r *tidewaiter.Result, vulnerabilities []vulnerability) []software {
	out := []software{}
	if r.Content == nil {
		return out
	}
	at := map[int64]int{}
	paths := pathsOf(r.Content)
	for _, in := range r.Content.Installed {
		p := in.Package
		if p == nil {
			continue
		}
		if _, known := at[p.ID]; !known {
			at[p.ID] = len(out)
			out = append(out, softwareFor(p, paths[p.ID]))
		}
	}
	for _, v := range vulnerabilities {
		alone := v
		alone.Software = nil
		for i, id := range v.packages {
			s := &out[at[id]]
			s.Vulnerabilities = append(s.Vulnerabilities, alone)
			if s.FixVersion == nil {
				s.FixVersion = v.Software[i].FixVersion
			}
		}
	}
	slices.SortFunc(out, func(a, b software) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), cmp.Compare(a.id, b.id))
	})
	return out
}

// softwareTokens are the tokens of software filters.
var softwareTokens = []qql.Field[software]{
	{Name: "name", Texts: func(s software) []string { return []string{s.Name} }},
	{Name: "software.name", Texts: func(s software) []string { return []string{s.Name} }},
	{Name: "version", ID: true, Texts: func(s software) []string { return []string{s.Version} }},
	{Name: "software.version", ID: true, Texts: func(s software) []string { return []string{s.Version} }},
	{Name: "scanType", ID: true, Texts: func(s software) []string { return []string{s.ScanType} }},
	{Name: "vulnerabilities.severity", Nums: func(s software) []int64 {
		var out []int64
		for _, v := range s.Vulnerabilities {
			out = append(out, int64(v.Severity))
		}
		return out
	}},
}

// imageSoftware is Qualys' ImageSoftware.
type imageSoftware struct {
	Count                           int            `json:"count"`
	Data                            []software     `json:"data"`
	SoftwareCountBySeverity         map[string]int `json:"softwareCountBySeverity"` // by the worst of each, "5" to "1"
	DriftSoftwareCountBySeverity    map[string]int `json:"driftSoftwareCountBySeverity"`
	DriftSoftwareCountByDriftReason map[string]int `json:"driftSoftwareCountByDriftReason"`
}

// getSoftware lists the packages of an image.
func (s *server) getSoftware(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	holds, err := qql.Compile(q.filter, softwareTokens, s.now())
	if err != nil {
		return err
	}
	if q.sort != "" && !strings.EqualFold(q.sort, "name") && !strings.EqualFold(q.sort, "software.name") {
		return unsortable(q.sort, "name")
	}
	_, result, err := s.resultOf(r)
	if err != nil {
		return err
	}
	out := imageSoftware{Data: []software{}, SoftwareCountBySeverity: map[string]int{},
		DriftSoftwareCountBySeverity: map[string]int{}, DriftSoftwareCountByDriftReason: map[string]int{}}
	for _, p := range softwareOf(result, vulnerabilitiesOf(result)) {
		if !holds(p) {
			continue
		}
		worst := 0
		for _, v := range p.Vulnerabilities {
			worst = max(worst, v.Severity)
		}
		if worst > 0 {
			out.SoftwareCountBySeverity[itoa(worst)]++
		}
		out.Data = append(out.Data, p)
	}
	if q.desc {
		slices.Reverse(out.Data)
	}
	out.Count = len(out.Data)
	writeJSON(w, http.StatusOK, out)
	return nil
}
