package parity_test

// explained lists by image where we differ from Trivy on purpose. README.md says why.
func explained() map[string][]string {
	return map[string][]string{}
}
