package report

import (
	"strings"
)

// spdxIDs are the licences met most often, by their id in lower case; anything else is carried as a name, which both SBOM
// formats allow for what is not on SPDX's list.
var spdxIDs = byLowerCase(
	"0BSD", "AFL-2.1", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-1.1", "Apache-2.0", "Artistic-1.0", "Artistic-2.0",
	"BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSL-1.0", "bzip2-1.0.6", "CC-BY-3.0", "CC-BY-4.0",
	"CC0-1.0", "CDDL-1.0", "CDDL-1.1", "curl", "EPL-1.0", "EPL-2.0", "FSFAP", "FTL", "GFDL-1.2-or-later", "GFDL-1.3-or-later",
	"GPL-1.0-only", "GPL-1.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "HPND",
	"ICU", "IJG", "ISC", "LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only",
	"LGPL-3.0-or-later", "Libpng", "libtiff", "MIT", "MIT-0", "MPL-1.1", "MPL-2.0", "MS-PL", "NCSA", "OFL-1.1", "OLDAP-2.8",
	"OpenSSL", "PostgreSQL", "PSF-2.0", "Python-2.0", "Ruby", "SMLNJ", "TCL", "Unicode-DFS-2016", "Unlicense", "UPL-1.0", "Vim",
	"W3C", "WTFPL", "X11", "Zlib", "ZPL-2.1",
)

func byLowerCase(ids ...string) map[string]string {
	m := make(map[string]string, len(ids))
	for _, id := range ids {
		m[strings.ToLower(id)] = id
	}
	return m
}

// license is a licence as an SBOM can say it: one of an id, an expression of ids, or a name.
type license struct {
	id, expression, name string
}

// parseLicense reads a licence as a package declares it. An expression counts as one only when it is made of known ids
// with AND and OR between them.
func parseLicense(s string) license {
	s = strings.TrimSpace(s)
	if id, ok := spdxIDs[strings.ToLower(s)]; ok {
		return license{id: id}
	}
	words := strings.Fields(s)
	if len(words) < 3 || len(words)%2 == 0 || len(words) > 64 {
		return license{name: s}
	}
	for i, word := range words {
		if i%2 == 1 {
			words[i] = strings.ToUpper(word)
			if words[i] != "AND" && words[i] != "OR" {
				return license{name: s}
			}
			continue
		}
		id, ok := spdxIDs[strings.ToLower(word)]
		if !ok {
			return license{name: s}
		}
		words[i] = id
	}
	return license{expression: strings.Join(words, " ")}
}

// licensesOf reads the licences of a package, leaving out empty ones.
func licensesOf(list []string) []license {
	var out []license
	for _, s := range list {
		if strings.TrimSpace(s) != "" {
			out = append(out, parseLicense(s))
		}
	}
	return out
}
