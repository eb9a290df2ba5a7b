package samples

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Edition is a version of the sample advisories. The second differs from the first as two days' databases do: some
// vulnerabilities are new, one got a fix.
type Edition int

// The editions.
const (
	FirstEdition Edition = iota
	SecondEdition
)

// advisory is what one source says of one vulnerability in one package.
type advisory struct {
	bucket, pkg, id string
	value           any // its JSON form in the database
}

// source describes a bucket of the database. Trivy DB: the names its own builder writes.
type source struct {
	ID   string
	Name string
	URL  string
}

func sourceOf(bucket string) (source, error) {
	kind, name, language := strings.Cut(bucket, "::")
	switch {
	case language && name == "The Go Vulnerability Database":
		return source{"govulndb", name, "https://pkg.go.dev/vuln/"}, nil
	case language:
		return source{"ghsa", name, "https://github.com/advisories?query=type%3Areviewed+ecosystem%3A" + kind}, nil
	case strings.HasPrefix(bucket, "debian "):
		return source{"debian", "Debian Security Tracker", "https://salsa.debian.org/security-tracker-team/security-tracker"}, nil
	case strings.HasPrefix(bucket, "alpine "):
		return source{"alpine", "Alpine Secdb", "https://secdb.alpinelinux.org/"}, nil
	case strings.HasPrefix(bucket, "rocky "):
		return source{"rocky", "Rocky Linux updateinfo", "https://download.rockylinux.org/pub/rocky/"}, nil
	}
	return source{}, fmt.Errorf("no source is known for advisories of %q", bucket)
}

// affectedJSON is an advisory as the database holds it.
type affectedJSON struct {
	VendorIDs          []string `json:",omitempty"`
	Arches             []string `json:",omitempty"`
	Status             int      `json:",omitempty"`
	Severity           int      `json:",omitempty"`
	FixedVersion       string   `json:",omitempty"`
	VulnerableVersions []string `json:",omitempty"`
	PatchedVersions    []string `json:",omitempty"`
}

// byArchJSON is the form of sources whose fixes differ by architecture.
type byArchJSON struct {
	FixedVersion string
	Entries      []affectedJSON
}

// advisories returns the rows that belong to an edition, sorted as they are written.
func advisories(e Edition) ([]advisory, error) {
	rows, err := table("advisories.txt")
	if err != nil {
		return nil, err
	}
	var list []advisory
	for _, r := range rows {
		name := r.col(0)
		if strings.HasPrefix(name, "+") && e == FirstEdition || strings.HasPrefix(name, "-") && e == SecondEdition {
			continue
		}
		a := advisory{bucket: r.section, pkg: strings.TrimLeft(name, "+-"), id: r.col(1)}
		if a.value, err = affected(r); err != nil {
			return nil, fmt.Errorf("advisory %s of %s: %w", a.id, a.pkg, err)
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b advisory) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.id, b.id))
	})
	return list, nil
}

func affected(r row) (any, error) {
	if strings.Contains(r.section, "::") {
		return affectedJSON{VulnerableVersions: r.list(2), PatchedVersions: r.list(3), VendorIDs: r.list(4)}, nil
	}
	a := affectedJSON{FixedVersion: r.col(2), VendorIDs: r.list(3)}
	status, severity, _ := strings.Cut(r.col(2), " ")
	// Trivy DB: the numbers of its statuses and severities.
	if n, ok := map[string]int{"affected": 2, "will_not_fix": 5}[status]; ok {
		a.FixedVersion, a.Status = "", n
		if severity == "low" {
			a.Severity = 1
		}
	} else if severity != "" {
		return nil, fmt.Errorf("%q is neither a version nor a status", r.col(2))
	}
	if strings.HasPrefix(r.section, "rocky ") {
		fixed := a.FixedVersion
		a.Arches = []string{"aarch64", "x86_64"}
		return byArchJSON{FixedVersion: fixed, Entries: []affectedJSON{a}}, nil
	}
	return a, nil
}

// vulnerabilityJSON is the description of a vulnerability as the database holds it.
type vulnerabilityJSON struct {
	Title            string
	Description      string
	Severity         string
	CweIDs           []string            `json:",omitempty"`
	VendorSeverity   map[string]int      `json:",omitempty"`
	CVSS             map[string]cvssJSON `json:",omitempty"`
	References       []string            `json:",omitempty"`
	PublishedDate    time.Time
	LastModifiedDate time.Time
}

type cvssJSON struct {
	V3Vector string
	V3Score  float64
}

// vulnerabilities returns the descriptions by id.
func vulnerabilities() (map[string]vulnerabilityJSON, error) {
	rows, err := table("vulnerabilities.txt")
	if err != nil {
		return nil, err
	}
	all := map[string]vulnerabilityJSON{}
	for _, r := range rows {
		id := r.col(0)
		published, err := time.Parse(time.DateOnly, r.col(1))
		if err != nil {
			return nil, fmt.Errorf("date of %s: %w", id, err)
		}
		score, err := strconv.ParseFloat(r.col(2), 64)
		if err != nil {
			return nil, fmt.Errorf("score of %s: %w", id, err)
		}
		name, number := severityOf(score)
		cvss := cvssJSON{V3Vector: "CVSS:3.1/" + r.col(3), V3Score: score}
		all[id] = vulnerabilityJSON{
			Title: r.col(5), Description: r.col(6), Severity: name, CweIDs: r.list(4),
			VendorSeverity: map[string]int{"ghsa": number, "nvd": number},
			CVSS:           map[string]cvssJSON{"ghsa": cvss, "nvd": cvss},
			References:     []string{"https://nvd.nist.gov/vuln/detail/" + id, "https://www.cve.org/CVERecord?id=" + id},
			PublishedDate:  published, LastModifiedDate: published.AddDate(0, 1, 0),
		}
	}
	return all, nil
}

// severityOf is the name and number the database has for a CVSS score. FIRST: the qualitative scale of CVSS 3.1.
func severityOf(score float64) (string, int) {
	switch {
	case score >= 9:
		return "CRITICAL", 4
	case score >= 7:
		return "HIGH", 3
	case score >= 4:
		return "MEDIUM", 2
	}
	return "LOW", 1
}
