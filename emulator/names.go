package emulator

import "strings"

// registryPrefix is what precedes a repository's name in the registry API of the kind.
func (e *Emulator) registryPrefix() string {
	l := e.Login()
	switch {
	case e.o.Kind == GAR:
		return l.Project + "/"
	case e.o.Kind == OCIR:
		return l.TenancyNamespace + "/"
	case e.o.Kind == ECR && e.o.Public:
		return publicAlias + "/"
	case e.o.Kind == Artifactory && e.o.Layout == "path":
		return artifactoryLocal + "/"
	}
	return ""
}

// registryName is a repository's name in the registry API.
func (e *Emulator) registryName(repo int) string { return e.registryPrefix() + e.fleet.name(repo) }

// findName is the inverse of registryName.
func (e *Emulator) findName(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, e.registryPrefix())
	if !ok {
		return 0, false
	}
	return e.fleet.find(rest)
}

// distribution returns the registry API with the names of the kind.
func (e *Emulator) distribution(g gate) distribution {
	g.e = e
	return distribution{e: e, gate: g, name: e.registryName, find: e.findName}
}
