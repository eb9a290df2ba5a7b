package report

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const noAssertion = "NOASSERTION"

// SPDX writes a bill of materials in SPDX 2.3 JSON. The document describes the image, which contains the packages; a
// package's vulnerabilities are security references of it.
func SPDX(w io.Writer, r *tidewaiter.Result, o Options) error {
	if err := spdxjson.Write(spdxDocument(prepare(r, o)), w, spdxjson.Indent("  "), spdxjson.EscapeHTML(false)); err != nil {
		return fmt.Errorf("write SPDX: %w", err)
	}
	return nil
}

func spdxDocument(s *source) *spdx.Document {
	creators := []common.Creator{{CreatorType: "Tool", Creator: strings.TrimSuffix(toolName+"-"+s.Version, "-")}}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: s.Reference,
		DocumentNamespace: strings.TrimSuffix(s.Namespace, "/") + "/" + s.id("spdx"),
		CreationInfo:      &spdx.CreationInfo{Creators: creators, Created: stamp(s.Now)},
	}
	b := &spdxBuilder{source: s, doc: doc, extracted: make(map[string]string)}
	image := b.image()
	doc.Packages = append(doc.Packages, image)
	b.relate("DOCUMENT", common.TypeRelationshipDescribe, image.PackageSPDXIdentifier)
	findings := make(map[*tidewaiter.Package][]*finding)
	for i := range s.findings {
		f := &s.findings[i]
		findings[f.installed.Package] = append(findings[f.installed.Package], f)
	}
	used := make(map[string]int, len(s.packages))
	for _, in := range s.packages {
		id := "Package-" + in.Package.Key()
		used[id]++
		if n := used[id]; n > 1 {
			id += "-" + strconv.Itoa(n)
		}
		p := b.pkg(common.ElementID(id), in, findings[in.Package])
		doc.Packages = append(doc.Packages, p)
		b.relate(image.PackageSPDXIdentifier, common.TypeRelationshipContains, p.PackageSPDXIdentifier)
	}
	return doc
}

type spdxBuilder struct {
	*source
	doc       *spdx.Document
	extracted map[string]string // LicenseRef by name
}

func (b *spdxBuilder) relate(from common.ElementID, kind string, to common.ElementID) {
	b.doc.Relationships = append(b.doc.Relationships, &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: kind, RefB: common.DocElementID{ElementRefID: to},
	})
}

func (b *spdxBuilder) image() *spdx.Package {
	p := &spdx.Package{
		PackageName: b.Reference, PackageSPDXIdentifier: "Image", PackageVersion: b.source.image.Digest,
		PackageDownloadLocation: noAssertion, PrimaryPackagePurpose: "CONTAINER",
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
	}
	if algorithm, value, ok := strings.Cut(b.source.image.Digest, ":"); ok && algorithm == "sha256" && isHex(value, 64) {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: value}}
	}
	if u := b.purl(); u != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, purlReference(u))
	}
	return p
}

func isHex(s string, n int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == n
}

func purlReference(u string) *spdx.PackageExternalReference {
	return &spdx.PackageExternalReference{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: u}
}

func (b *spdxBuilder) pkg(id common.ElementID, in tidewaiter.Installed, findings []*finding) *spdx.Package {
	p := in.Package
	out := &spdx.Package{
		PackageName: p.Name, PackageSPDXIdentifier: id, PackageVersion: p.FullVersion(), PackageDownloadLocation: noAssertion,
		PrimaryPackagePurpose: "LIBRARY", PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: b.licenses(p.Licenses),
		PackageCopyrightText: noAssertion, PackageSourceInfo: b.provenance(in),
	}
	if p.Maintainer != "" {
		out.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: p.Maintainer}
	}
	if p.PURL != "" {
		out.PackageExternalReferences = append(out.PackageExternalReferences, purlReference(p.PURL))
	}
	seen := make(map[string]bool)
	for _, f := range findings {
		u := link(f.URL)
		if u == "" || seen[f.Vulnerability] {
			continue
		}
		seen[f.Vulnerability] = true
		comment := f.Vulnerability + ", " + f.Severity.String()
		if f.FixedIn != "" {
			comment += ", fixed in " + f.FixedIn
		}
		out.PackageExternalReferences = append(out.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategorySecurity, RefType: common.TypeSecurityAdvisory, Locator: u, ExternalRefComment: comment})
	}
	return out
}

// provenance says where in the image a package was found.
func (b *spdxBuilder) provenance(in tidewaiter.Installed) string {
	var parts []string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, what+" "+value)
		}
	}
	l := b.layer(in.Layer)
	add("built from", strings.TrimSpace(in.Package.Source+" "+in.Package.FullSourceVersion()))
	add("found at", in.Path)
	add("in layer", l.Digest)
	add("with diff id", l.DiffID)
	return strings.Join(parts, "; ")
}

// licenses joins licences into one expression. What is not on SPDX's list becomes a LicenseRef, with the name as its text.
func (b *spdxBuilder) licenses(list []string) string {
	licenses := licensesOf(list)
	if len(licenses) == 0 {
		return noAssertion
	}
	parts := make([]string, 0, len(licenses))
	for _, l := range licenses {
		switch {
		case l.id != "":
			parts = append(parts, l.id)
		case l.expression != "" && len(licenses) > 1:
			parts = append(parts, "("+l.expression+")")
		case l.expression != "":
			parts = append(parts, l.expression)
		default:
			parts = append(parts, b.licenseRef(l.name))
		}
	}
	return strings.Join(parts, " AND ")
}

func (b *spdxBuilder) licenseRef(name string) string {
	if ref, ok := b.extracted[name]; ok {
		return ref
	}
	ref := "LicenseRef-" + fingerprint("license", name)[:16]
	b.extracted[name] = ref
	b.doc.OtherLicenses = append(b.doc.OtherLicenses, &spdx.OtherLicense{LicenseIdentifier: ref, LicenseName: name, ExtractedText: name})
	return ref
}
