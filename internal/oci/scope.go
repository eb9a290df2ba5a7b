package oci

import "strings"

// widened returns the scope to ask for where a challenge has already taught that more is needed, as Azure's registries
// do with metadata_read.
func (a *authorizer) widened(scope string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.wider[scope]; ok {
		return w
	}
	return scope
}

func (a *authorizer) widen(scope, asked string) string {
	w := mergeScopes(scope, asked)
	a.mu.Lock()
	defer a.mu.Unlock()
	if w != scope {
		if len(a.wider) >= maxTokens {
			clear(a.wider)
		}
		a.wider[scope] = w
	}
	return w
}

// readOnlyScopes keeps of a challenge's scopes what a reader needs: well-formed ones, and of repositories only pulling.
// Gitea asks for "*", which is no scope.
func readOnlyScopes(s string) string {
	var keep []string
	for scope := range strings.FieldsSeq(s) {
		first, last := strings.IndexByte(scope, ':'), strings.LastIndexByte(scope, ':')
		if first <= 0 || first == last || len(scope) > 1024 {
			continue
		}
		if !strings.HasPrefix(scope, "repository:") {
			keep = append(keep, scope)
			continue
		}
		var actions []string
		for action := range strings.SplitSeq(scope[last+1:], ",") {
			if action == "pull" || action == "metadata_read" {
				actions = append(actions, action)
			}
		}
		if len(actions) > 0 {
			keep = append(keep, scope[:last+1]+strings.Join(actions, ","))
		}
	}
	if len(keep) > 16 {
		keep = keep[:16]
	}
	return strings.Join(keep, " ")
}

// mergeScopes joins two space-separated lists without repeating a scope.
func mergeScopes(a, b string) string {
	out := strings.Fields(a)
	for s := range strings.FieldsSeq(b) {
		if !strings.Contains(" "+strings.Join(out, " ")+" ", " "+s+" ") {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}
