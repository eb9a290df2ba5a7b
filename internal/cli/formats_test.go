package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

type (
	finding struct{ pkg, vulnerability string }
	version struct{ pkg, version string }
)

// contents is what a report says. What its format does not tell is nil.
type contents struct {
	findings map[finding]bool
	packages map[version]bool
	secrets  map[string]bool // rules
}

func (c *contents) summary() string {
	return fmt.Sprintf("%d findings, %d packages, %d secrets", len(c.findings), len(c.packages), len(c.secrets))
}

// compare holds the contents against what is known of a sample.
func (c *contents) compare(want samples.Expectation) error {
	if c.findings != nil {
		if len(c.findings) != want.Findings {
			return fmt.Errorf("%d findings, want %d", len(c.findings), want.Findings)
		}
		for _, f := range want.Notable {
			if !c.findings[finding{f.Package, f.Vulnerability}] {
				return fmt.Errorf("%v is missing", f)
			}
		}
		for _, f := range want.Absent {
			if c.findings[finding{f.Package, f.Vulnerability}] {
				return fmt.Errorf("%v is there", f)
			}
		}
	}
	if c.packages != nil {
		all := map[version]bool{}
		for _, p := range want.Packages {
			all[version{p.Name, p.Version}] = true
			if !c.packages[version{p.Name, p.Version}] {
				return fmt.Errorf("package %v is missing", p)
			}
		}
		if len(c.packages) != len(all) {
			return fmt.Errorf("%d packages, want %d", len(c.packages), len(all))
		}
	}
	if c.secrets != nil {
		if len(c.secrets) != len(want.Secrets) {
			return fmt.Errorf("secrets by %v, want %v", c.secrets, want.Secrets)
		}
		for _, rule := range want.Secrets {
			if !c.secrets[rule] {
				return fmt.Errorf("no secret by rule %s", rule)
			}
		}
	}
	return nil
}

// readers read each format as its own readers would, knowing nothing of the code that writes it.
var readers = map[string]func([]byte) (*contents, error){
	"json": readJSON, "sarif": readSARIF, "cyclonedx": readCycloneDX, "spdx": readSPDX, "csv": readCSV,
}

func readJSON(b []byte) (*contents, error) {
	var doc struct {
		SchemaVersion   int
		Vulnerabilities []struct{ ID, Package string }
		Packages        []struct{ Name, Version string }
		Secrets         []struct{ Rule string }
		Summary         struct{ Packages int }
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if doc.SchemaVersion != 1 || doc.Summary.Packages != len(doc.Packages) {
		return nil, fmt.Errorf("version %d, %d packages in the summary, %d listed", doc.SchemaVersion, doc.Summary.Packages, len(doc.Packages))
	}
	c := &contents{map[finding]bool{}, map[version]bool{}, map[string]bool{}}
	for _, v := range doc.Vulnerabilities {
		c.findings[finding{v.Package, v.ID}] = true
	}
	for _, p := range doc.Packages {
		c.packages[version{p.Name, p.Version}] = true
	}
	for _, s := range doc.Secrets {
		c.secrets[s.Rule] = true
	}
	return c, nil
}

func readSARIF(b []byte) (*contents, error) {
	var doc struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID     string
				RuleIndex  int
				Properties struct{ Package string }
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if doc.Version != "2.1.0" || len(doc.Runs) != 1 {
		return nil, fmt.Errorf("version %s, %d runs", doc.Version, len(doc.Runs))
	}
	c := &contents{findings: map[finding]bool{}, secrets: map[string]bool{}}
	run := doc.Runs[0]
	for _, r := range run.Results {
		if r.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			return nil, fmt.Errorf("result of %s points to another rule", r.RuleID)
		}
		if rule, ok := strings.CutPrefix(r.RuleID, "secret/"); ok {
			c.secrets[rule] = true
		} else if !strings.HasPrefix(r.RuleID, "check/") {
			c.findings[finding{r.Properties.Package, r.RuleID}] = true
		}
	}
	return c, nil
}

func readCycloneDX(b []byte) (*contents, error) {
	var doc struct {
		BOMFormat, SpecVersion string
		Components             []struct {
			Ref                 string `json:"bom-ref"`
			Type, Name, Version string
		}
		Vulnerabilities []struct {
			ID      string
			Affects []struct{ Ref string }
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if doc.BOMFormat != "CycloneDX" || doc.SpecVersion != "1.6" {
		return nil, fmt.Errorf("%s %s", doc.BOMFormat, doc.SpecVersion)
	}
	c := &contents{findings: map[finding]bool{}, packages: map[version]bool{}}
	names := map[string]string{}
	for _, p := range doc.Components {
		if p.Type == "library" {
			c.packages[version{p.Name, p.Version}] = true
			names[p.Ref] = p.Name
		}
	}
	for _, v := range doc.Vulnerabilities {
		for _, a := range v.Affects {
			name, ok := names[a.Ref]
			if !ok {
				return nil, fmt.Errorf("%s affects %s, which is no component", v.ID, a.Ref)
			}
			c.findings[finding{name, v.ID}] = true
		}
	}
	return c, nil
}

func readSPDX(b []byte) (*contents, error) {
	var doc struct {
		SPDXVersion string
		Packages    []struct {
			Name, VersionInfo string
			Purpose           string `json:"primaryPackagePurpose"`
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if doc.SPDXVersion != "SPDX-2.3" {
		return nil, fmt.Errorf("version %s", doc.SPDXVersion)
	}
	c := &contents{packages: map[version]bool{}}
	for _, p := range doc.Packages {
		if p.Purpose == "LIBRARY" || p.Purpose == "" {
			c.packages[version{p.Name, p.VersionInfo}] = true
		}
	}
	return c, nil
}

func readCSV(b []byte) (*contents, error) {
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no header")
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	c := &contents{findings: map[finding]bool{}}
	for _, row := range rows[1:] {
		c.findings[finding{row[column["Package"]], row[column["Vulnerability"]]}] = true
	}
	return c, nil
}
