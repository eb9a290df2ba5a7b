package parity_test

// explained lists by image where we differ from Trivy on purpose: "+" is what only we say, "-" what only Trivy says.
// README.md tells why, under the name given here.
func explained() map[string][]string {
	return map[string][]string{
		"ops/tools:1.0 linux/amd64": ownedByDebian(),
	}
}

// ownedByDebian is README's "Files dpkg lists".
func ownedByDebian() []string {
	return []string{
		`- finding Jinja2 3.1.2 CVE-2024-22195 MEDIUM fixed in "3.1.3", fixed`,
		`- finding requests 2.28.1 CVE-2023-32681 MEDIUM fixed in "2.31.0", fixed`,
		`- finding requests 2.28.1 CVE-2024-47081 MEDIUM fixed in "2.32.4", fixed`,
		"- package python-pkg Jinja2 3.1.2 usr/lib/python3/dist-packages/Jinja2-3.1.2.dist-info/METADATA",
		"- package python-pkg requests 2.28.1 usr/lib/python3/dist-packages/requests-2.28.1.dist-info/METADATA",
	}
}
