package prisma

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
)

// csvHeader is the first line of a real console's download.
const csvHeader = "Registry,Repository,Tag,Id,Distro,Hosts,Layer,CVE ID,Compliance ID,Type,Severity,Packages,Source Package," +
	"Package Version,Package License,CVSS,Fix Status,Fix Date,Grace Days,Risk Factors,Vulnerability Tags,Description,Cause," +
	"Containers,Custom Labels,Published,Discovered,Binaries,Clusters,Namespaces,Collections,Digest,Vulnerability Link,Apps," +
	"Package Path,Start Time,Defender Hosts,Agentless Hosts"

// downloadResults answers with a CSV line for every vulnerability and compliance issue of what a query asks for; without a
// limit that is everything. Nothing is sent before the first line is known, so that an error still has a status.
func (s *server) downloadResults(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), queryOf(r.URL)
	p, err := q.page()
	if err != nil {
		return err
	}
	v, err := s.viewer(ctx, q)
	if err != nil {
		return err
	}
	v.compact = false
	named := v.named(q.list("collections"))
	f := filterOf(q)
	f.Full = named != nil
	skip, left := p.offset, -1
	if q.text("limit") != "" {
		left = p.limit
	}
	out := newTable(w, "registry_report.csv", strings.Split(csvHeader, ",")...)
	for row, err := range s.everyRow(ctx, f) {
		if err == nil && (named != nil && !covered(named, &row)) {
			continue
		}
		if skip > 0 && err == nil {
			skip--
			continue
		}
		if left == 0 {
			break
		}
		left--
		if err == nil {
			err = s.addTypes(ctx, v, []control.Row{row})
		}
		var result imageScanResult
		if err == nil {
			result, err = v.result(ctx, &row)
		}
		if err != nil {
			return out.broken(err)
		}
		out.addResult(&result)
	}
	return out.end()
}

// addResult writes a line for each vulnerability and each compliance issue.
func (t *table) addResult(r *imageScanResult) {
	for _, list := range [][]vulnerability{r.Vulnerabilities, r.ComplianceIssues} {
		for i := range list {
			t.add(csvRow(r, &list[i])...)
		}
	}
	if t.began {
		t.csv.Flush()
	}
}

// csvRow is one line, in the order of csvHeader.
func csvRow(r *imageScanResult, v *vulnerability) []string {
	row := []string{
		r.RepoTag.Registry, r.RepoTag.Repo, r.RepoTag.Tag, r.ID, r.Distro, "", csvLayer(r, v), v.CVE, "", csvType(v), v.Severity,
		v.PackageName, "", v.PackageVersion, "", strconv.FormatFloat(v.CVSS, 'f', 2, 64), v.Status, csvUnix(v.FixDate), "",
		strings.Join(v.factors, ","), "", v.Description, v.Cause, "", "", csvUnix(v.Published), csvTime(v.Discovered), "", "", "",
		strings.Join(r.Collections, ","), r.RepoTag.Digest, v.Link, "", strings.Join(v.paths, ","), csvTime(r.ScanTime), "", "",
	}
	if v.CVE == "" {
		row[8], row[15], row[21] = strconv.Itoa(v.ID), "", strings.TrimSpace(v.Title+"\n"+v.Description)
	}
	if v.GracePeriodDays > 0 {
		row[18] = strconv.Itoa(v.GracePeriodDays)
	}
	if p := v.pkg; p != nil {
		row[12], row[14] = p.Source, strings.Join(p.Licenses, ",")
	}
	for _, t := range v.VulnTagInfos {
		row[20] = strings.TrimPrefix(row[20]+","+t.Name, ",")
	}
	return row
}

// csvType names the kind of package the way downloads do. Prisma: since 32.03 a distribution's packages are "OS", binaries
// and products "Application".
func csvType(v *vulnerability) string {
	switch v.PackageType {
	case "":
		return v.Type
	case "package":
		return "OS"
	case "binary", "app":
		return "Application"
	}
	return v.PackageType
}

// csvLayer returns the instruction that made the layer a vulnerability comes from.
func csvLayer(r *imageScanResult, v *vulnerability) string {
	if v.CVE == "" || v.layer < 0 || v.layer >= len(r.Layers) {
		return ""
	}
	for _, h := range r.History {
		if h.ID == r.Layers[v.layer] {
			return h.Instruction
		}
	}
	return ""
}
