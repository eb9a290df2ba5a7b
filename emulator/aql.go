package emulator

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAQL bounds the answer to one query, as a server without a memory limit of its own would not.
const maxAQL = 100_000

// aqlQuery is what the emulated part of AQL can say: items.find with conditions on repo, name and modified, include, sort
// by modified, offset and limit. JFrog: "Artifactory Query Language".
type aqlQuery struct {
	repos, names  []string
	paths         []*regexp.Regexp // all have to match
	others        []*regexp.Regexp // none may match
	modified      span
	after         bool // the beginning of modified is not included
	before        bool // nor is its end
	rising        bool
	offset, limit int
}

var aqlCall = regexp.MustCompile(`\.(include|sort|offset|limit|transitive)\(([^()]*)\)`)

func parseAQL(text string) (aqlQuery, bool) {
	q := aqlQuery{rising: true, limit: maxAQL}
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "items.find(")
	if !ok {
		return q, false
	}
	var criteria map[string]json.RawMessage
	dec := json.NewDecoder(strings.NewReader(rest))
	if err := dec.Decode(&criteria); err != nil {
		return q, false
	}
	for field, raw := range criteria {
		if !q.condition(field, raw) {
			return q, false
		}
	}
	for _, m := range aqlCall.FindAllStringSubmatch(rest[dec.InputOffset():], -1) {
		switch m[1] {
		case "sort":
			q.rising = !strings.Contains(m[2], "$desc")
		case "offset":
			q.offset, _ = strconv.Atoi(m[2])
		case "limit":
			if n, err := strconv.Atoi(m[2]); err == nil && n > 0 {
				q.limit = min(n, maxAQL)
			}
		}
	}
	return q, q.offset >= 0
}

func (q *aqlQuery) condition(field string, raw json.RawMessage) bool {
	var value string
	var operators map[string]any
	if json.Unmarshal(raw, &value) == nil {
		operators = map[string]any{"$eq": value}
	} else if json.Unmarshal(raw, &operators) != nil {
		return false
	}
	for operator, operand := range operators {
		texts := aqlTexts(operand)
		if len(texts) == 0 {
			return false
		}
		switch {
		case field == "repo" && (operator == "$eq" || operator == "$in"):
			q.repos = texts
		case field == "name" && (operator == "$eq" || operator == "$in"):
			q.names = texts
		case field == "modified" || field == "created":
			if !q.time(operator, texts[0]) {
				return false
			}
		case field == "path":
			if !q.path(operator, texts[0]) {
				return false
			}
		case field == "type" && texts[0] == "file":
		default:
			return false
		}
	}
	return true
}

func (q *aqlQuery) path(operator, text string) bool {
	if operator == "$match" || operator == "$nmatch" {
		text = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(text))
	} else {
		text = regexp.QuoteMeta(text)
	}
	match, err := regexp.Compile("^" + text + "$")
	switch {
	case err != nil:
		return false
	case operator == "$eq" || operator == "$match":
		q.paths = append(q.paths, match)
	case operator == "$ne" || operator == "$nmatch":
		q.others = append(q.others, match)
	default:
		return false
	}
	return true
}

// wants reports whether a file fits the conditions on repository, name and path.
func (q *aqlQuery) wants(repo, name, path string) bool {
	inRepo := len(q.repos) == 0 || slices.Contains(q.repos, repo) || repo == artifactoryLocal && slices.Contains(q.repos, artifactoryVirtual)
	return inRepo && (len(q.names) == 0 || slices.Contains(q.names, name)) &&
		!slices.ContainsFunc(q.paths, func(m *regexp.Regexp) bool { return !m.MatchString(path) }) &&
		!slices.ContainsFunc(q.others, func(m *regexp.Regexp) bool { return m.MatchString(path) })
}

func aqlTexts(operand any) []string {
	switch x := operand.(type) {
	case string:
		return []string{x}
	case []any:
		var list []string
		for _, v := range x {
			if s, ok := v.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

func (q *aqlQuery) time(operator, text string) bool {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		if at, err = time.Parse("2006-01-02T15:04:05.000-0700", text); err != nil {
			if at, err = time.Parse(time.DateOnly, text); err != nil {
				return false
			}
		}
	}
	switch operator {
	case "$gt":
		q.modified.from, q.after = at, true
	case "$gte":
		q.modified.from = at
	case "$lt":
		q.modified.to, q.before = at, true
	case "$lte":
		q.modified.to = at
	default:
		return false
	}
	return true
}

// aql answers a search for manifests. A manifest is a file image/tag/manifest.json, an index image/tag/list.manifest.json,
// and a member of an index image/sha256:…/manifest.json.
func (e *Emulator) aql(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	q, ok := parseAQL(string(body))
	if err != nil || !ok {
		e.problem(w, r, http.StatusBadRequest, "", "Failed to parse query")
		return
	}
	results, skipped := []document{}, 0
	e.fleet.byTime(0, e.o.Repositories, q.rising, q.modified, func(repo int, k key, x entry) bool {
		if q.after && x.pushed.Equal(q.modified.from) || q.before && x.pushed.Equal(q.modified.to) {
			return true
		}
		for _, file := range e.aqlFiles(repo, k, x) {
			for _, repository := range []string{artifactoryLocal, artifactoryCache} {
				if !q.wants(repository, file.name, file.path) {
					continue
				}
				if skipped < q.offset {
					skipped++
					continue
				}
				if len(results) == q.limit {
					return false
				}
				results = append(results, e.aqlResult(repository, k, file, x.pushed))
			}
		}
		return len(results) < q.limit
	})
	writeJSON(w, r, http.StatusOK, document{"results": results, "range": document{
		"start_pos": q.offset, "end_pos": q.offset + len(results), "total": len(results), "limit": q.limit,
	}})
}

// aqlFile is a file a manifest is stored in. Its digest is made for what is answered only.
type aqlFile struct {
	path, name string
	member     int // of an index; -1 for the manifest itself
}

// aqlFiles returns one file a tag, and one a member.
func (e *Emulator) aqlFiles(repo int, k key, x entry) []aqlFile {
	image, name := e.fleet.name(repo), "manifest.json"
	if e.fleet.isIndex(k) {
		name = "list.manifest.json"
	}
	var files []aqlFile
	for _, t := range x.tags {
		files = append(files, aqlFile{image + "/" + t, name, -1})
	}
	for i := range e.fleet.children(k) {
		files = append(files, aqlFile{image + "/sha256:", "manifest.json", i})
	}
	return files
}

func (e *Emulator) aqlResult(repository string, k key, file aqlFile, pushed time.Time) document {
	o := e.fleet.object(k)
	if file.member >= 0 {
		o = o.children[file.member]
		file.path = strings.TrimSuffix(file.path, "sha256:") + o.digest
	}
	at := pushed.Format("2006-01-02T15:04:05.000Z07:00")
	return document{
		"repo": repository, "path": file.path, "name": file.name, "type": "file", "size": len(o.data), "created": at, "modified": at,
		"sha256": strings.TrimPrefix(o.digest, "sha256:"),
	}
}
