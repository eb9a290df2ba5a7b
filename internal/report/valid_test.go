package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"charm.land/lipgloss/v2"
	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdxlib"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestJSONReadsBack(t *testing.T) {
	var got report.Document
	if err := json.Unmarshal(write(t, report.JSON, result(), options()), &got); err != nil {
		t.Fatal(err)
	}
	want := report.NewDocument(result(), options())
	scrub := cmp.Transformer("utf8", func(s string) string { return strings.ToValidUTF8(s, "\ufffd") })
	if diff := cmp.Diff(want, &got, scrub); diff != "" {
		t.Error(diff)
	}
	if got.SchemaVersion != 1 || len(got.Vulnerabilities) != 5 || got.Summary.Vulnerabilities.Total() != 5 || got.Summary.Fixable != 3 {
		t.Errorf("%+v", got.Summary)
	}
	empty := write(t, report.JSON, &tidewaiter.Result{}, report.Options{})
	for _, list := range []string{"vulnerabilities", "packages", "secrets", "checks", "notices", "tags", "layers", "riskFactors"} {
		if !bytes.Contains(empty, []byte(`"`+list+`": []`)) || bytes.Contains(empty, []byte(`"`+list+`": null`)) {
			t.Errorf("%s is not an empty list", list)
		}
	}
}

func TestSARIFIsValid(t *testing.T) {
	for _, r := range []*tidewaiter.Result{result(), {}} {
		b := write(t, report.SARIF, r, options())
		doc, err := sarif.FromBytes(b, sarif.WithStrictValidation())
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Validate(); err != nil {
			t.Error(err)
		}
	}
	doc, err := sarif.FromBytes(write(t, report.SARIF, result(), options()))
	if err != nil {
		t.Fatal(err)
	}
	run := doc.Runs[0]
	if len(run.Results) != 8 || len(run.Tool.Driver.Rules) != 7 { // one vulnerability twice
		t.Errorf("%d results of %d rules", len(run.Results), len(run.Tool.Driver.Rules))
	}
	for _, res := range run.Results {
		if got := *run.Tool.Driver.Rules[res.RuleIndex].ID; got != *res.RuleID {
			t.Errorf("rule %d is %s, want %s", res.RuleIndex, got, *res.RuleID)
		}
	}
	first := run.Tool.Driver.Rules[0]
	if first.Properties.Properties["security-severity"] != "9.8" || *first.HelpURI != "https://security.example.org/CVE-2026-1000" {
		t.Errorf("%+v", first.Properties)
	}
	if bytes.Contains(write(t, report.SARIF, result(), options()), []byte("javascript:")) {
		t.Error("a script passes for a link")
	}
}

func TestCycloneDXReadsBack(t *testing.T) {
	tests := []struct {
		f       writer
		format  cdx.BOMFileFormat
		version cdx.SpecVersion
	}{{report.CycloneDX, cdx.BOMFileFormatJSON, cdx.SpecVersion1_6}, {report.CycloneDXXML, cdx.BOMFileFormatXML, cdx.SpecVersion1_4}}
	for _, test := range tests {
		t.Run(test.version.String(), func(t *testing.T) {
			var b cdx.BOM
			if err := cdx.NewBOMDecoder(bytes.NewReader(write(t, test.f, result(), options())), test.format).Decode(&b); err != nil {
				t.Fatal(err)
			}
			if b.SpecVersion != test.version || !strings.HasPrefix(b.SerialNumber, "urn:uuid:") {
				t.Errorf("%s %s", b.SpecVersion, b.SerialNumber)
			}
			checkBOM(t, &b)
		})
	}
}

func checkBOM(t *testing.T, b *cdx.BOM) {
	t.Helper()
	refs := map[string]*cdx.Component{b.Metadata.Component.BOMRef: b.Metadata.Component}
	for i := range *b.Components {
		c := &(*b.Components)[i]
		if c.BOMRef == "" || refs[c.BOMRef] != nil {
			t.Errorf("reference %q is empty or used twice", c.BOMRef)
		}
		refs[c.BOMRef] = c
	}
	if len(refs) != 7 { // the image, the distribution and 5 packages
		t.Errorf("%d components", len(refs))
	}
	if b.Metadata.Component.PackageURL == "" || b.Metadata.Component.Type != cdx.ComponentTypeContainer {
		t.Errorf("%+v", b.Metadata.Component)
	}
	affected := map[string][]string{}
	for _, v := range *b.Vulnerabilities {
		for _, a := range *v.Affects {
			if refs[a.Ref] == nil {
				t.Fatalf("%s affects %q, which is not there", v.ID, a.Ref)
			}
			affected[v.ID] = append(affected[v.ID], refs[a.Ref].Name)
		}
	}
	if diff := cmp.Diff([]string{"libssl3"}, affected["CVE-2026-1000"]); diff != "" || len(affected) != 4 {
		t.Errorf("%v: %s", affected, diff)
	}
	first := (*b.Vulnerabilities)[0]
	if first.ID != "CVE-2026-1000" || len(*first.Ratings) != 3 || !slices.Equal(*first.CWEs, []int{787}) ||
		first.Recommendation != "update libssl3 to 3.0.11-1~deb12u3" || !slices.Equal(*first.Analysis.Response, []cdx.ImpactAnalysisResponse{cdx.IARUpdate}) {
		t.Errorf("%+v", first)
	}
	for _, c := range refs {
		if c.Name != "libssl3" {
			continue
		}
		props := map[string]string{}
		for _, p := range *c.Properties {
			props[p.Name] = p.Value
		}
		if props["tidewaiter:layerDigest"] == "" || props["tidewaiter:layerDiffID"] == "" || c.PackageURL == "" || len(*c.Licenses) != 2 {
			t.Errorf("%+v", c)
		}
	}
	for _, d := range *b.Dependencies {
		for _, ref := range *d.Dependencies {
			if refs[ref] == nil {
				t.Errorf("dependency %q is not there", ref)
			}
		}
	}
}

func TestSPDXIsValid(t *testing.T) {
	doc, err := spdxjson.Read(bytes.NewReader(write(t, report.SPDX, result(), options())))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	described, err := spdxlib.GetDescribedPackageIDs(doc)
	if err != nil || !slices.Equal(described, []common.ElementID{"Image"}) {
		t.Errorf("describes %v, %v", described, err)
	}
	if doc.SPDXVersion != "SPDX-2.3" || len(doc.Packages) != 6 || !strings.HasPrefix(doc.DocumentNamespace, options().Namespace+"/") {
		t.Errorf("%s, %d packages, %s", doc.SPDXVersion, len(doc.Packages), doc.DocumentNamespace)
	}
	refs := map[string]bool{}
	for _, l := range doc.OtherLicenses {
		refs[l.LicenseIdentifier] = true
	}
	ids := map[common.ElementID]bool{}
	for _, p := range doc.Packages {
		if ids[p.PackageSPDXIdentifier] {
			t.Errorf("%s is used twice", p.PackageSPDXIdentifier)
		}
		ids[p.PackageSPDXIdentifier] = true
		for word := range strings.FieldsSeq(p.PackageLicenseDeclared) {
			if strings.HasPrefix(word, "LicenseRef-") && !refs[word] {
				t.Errorf("%s is not defined", word)
			}
		}
		if strings.Trim(string(p.PackageSPDXIdentifier), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != "" {
			t.Errorf("%q is not an SPDX id", p.PackageSPDXIdentifier)
		}
		if p.PackageName == "libssl3" {
			if len(p.PackageExternalReferences) != 3 || !strings.Contains(p.PackageSourceInfo, "in layer sha256:1111") ||
				!strings.HasPrefix(p.PackageLicenseDeclared, "Apache-2.0 AND LicenseRef-") {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestCSVIsHarmless(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(write(t, report.CSV, result(), options()))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 6 {
		t.Errorf("%d rows", len(rows))
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := result()
		name := rapid.SampledFrom([]string{"", "=", "+", "-", "@", "\t", "\r", "\n", "x"}).Draw(rt, "first") + rapid.String().Draw(rt, "rest")
		r.Content.Installed[0].Package.Name = name
		r.Content.Installed[0].Path = name
		var b bytes.Buffer
		if err := report.CSV(&b, r, options()); err != nil {
			rt.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			rt.Fatal(err)
		}
		for _, row := range rows {
			for _, c := range row {
				if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
					rt.Fatalf("a spreadsheet takes %q for a formula", c)
				}
			}
		}
	})
}

// TestTableIsHarmless holds that whatever an image says of itself, a plain table holds no control characters, and a
// coloured one none but its own.
func TestTableIsHarmless(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := result()
		text := rapid.String().Draw(rt, "text") + rapid.SampledFrom([]string{"", "\x1b]0;x\x07", "\u202e", "\u009b31m", "\x00\x7f"}).Draw(rt, "escape")
		p := r.Content.Installed[0].Package
		p.Name, p.Version = text, text
		r.Content.Installed[0].Path = text
		r.Content.Secrets[0].Match, r.Content.Notices[0].Text, r.Checks[2].Cause = text, text, text
		r.Image.Judgement.Verdict.Rules = []string{text}
		r.Image.Judgement.Distribution.PrettyName = text
		o := options()
		o.Reference = "x" + text
		o.Width = rapid.SampledFrom([]int{0, 1, 60, 100}).Draw(rt, "width")
		var b bytes.Buffer
		if err := report.Table(&b, r, o); err != nil {
			rt.Fatal(err)
		}
		for _, c := range b.String() {
			if c != '\n' && !unicode.IsPrint(c) {
				rt.Fatalf("%U in %q", c, b.String())
			}
		}
	})
}

func TestTableKeepsToTheWidth(t *testing.T) {
	for _, color := range []bool{false, true} {
		o := options()
		o.Width, o.Color = 100, color
		for line := range strings.Lines(string(write(t, report.Table, result(), o))) {
			if w := lipgloss.Width(strings.TrimSuffix(line, "\n")); w > o.Width {
				t.Errorf("%d columns: %s", w, line)
			}
		}
		if got := write(t, report.Table, result(), o); bytes.Contains(got, []byte("\x1b[")) != color {
			t.Errorf("colour %v: %q", color, got)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	r := result()
	for i := range 460 {
		f := r.Findings[1][i%2]
		r.Findings[1] = append(r.Findings[1], f)
	}
	o := options()
	o.Width, o.Color = 120, true
	for b.Loop() {
		var out bytes.Buffer
		if err := report.Table(&out, r, o); err != nil {
			b.Fatal(err)
		}
	}
}
