package qualys

import (
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// seen is an image with what its filter asks about.
type seen struct {
	*control.ImageRow
	uris map[string]string // URLs of registries by id
}

// imageTokens are the tokens of image filters.
var imageTokens = []qql.Field[seen]{
	{Name: "sha", ID: true, Clean: withoutAlgorithm, Texts: func(i seen) []string { return []string{shaOf(i.Image), withoutAlgorithm(i.Digest)} }},
	{Name: "imageId", ID: true, Clean: withoutAlgorithm, Texts: func(i seen) []string { return []string{imageIDOf(i.Image), shaOf(i.Image)} }},
	{Name: "uuid", ID: true, Texts: func(i seen) []string { return []string{uuidOf(i.Image)} }},
	{Name: "repo.registry", Clean: registryHost, Texts: func(i seen) []string { return ofTags(i, func(t *tidewaiter.Tag) string { return t.Repository.Host }) }},
	{Name: "repo.repository", Texts: seen.repositories},
	{Name: "repo.tag", Texts: func(i seen) []string { return ofTags(i, func(t *tidewaiter.Tag) string { return t.Name }) }},
	{Name: "registryUuid", ID: true, Texts: func(i seen) []string { return i.RegistryIDs }},
	{Name: "registryUri", Clean: trimSlash, Texts: seen.addresses},
	{Name: "operatingSystem", Texts: func(i seen) []string { return []string{operatingSystemOf(i.Image)} }},
	{Name: "architecture", ID: true, Texts: func(i seen) []string { return []string{i.Platform.Architecture} }},
	{Name: "scanStatus", ID: true, Texts: func(i seen) []string { return []string{scanStatus[i.State]} }},
	{Name: "source", ID: true, Texts: func(seen) []string { return []string{"REGISTRY"} }},
	{Name: "created", Times: func(i seen) time.Time { return i.CreatedAt }},
	{Name: "updated", Times: func(i seen) time.Time { return i.UpdatedAt }},
	{Name: "lastScanned", Times: func(i seen) time.Time { return judgedAt(i.Image) }},
	{Name: "lastVmScanDate", Times: func(i seen) time.Time { return judgedAt(i.Image) }},
	{Name: "size", Nums: func(i seen) []int64 { return []int64{i.Size} }},
	{Name: "vulnerabilities.severity", Nums: seen.severities},
	{Name: "imagesInUse", Times: func(seen) time.Time { return time.Time{} }}, // nothing runs here
}

// addresses returns how the registries of an image may be asked for: their URLs and hosts.
func (i seen) addresses() []string {
	var out []string
	for _, id := range i.RegistryIDs {
		if url := i.uris[id]; url != "" {
			out = append(out, url, tidewaiter.HostOf(url))
		}
	}
	return out
}

// severities returns the severities at least one finding of the image has.
func (i seen) severities() []int64 {
	var out []int64
	if i.Judgement == nil {
		return nil
	}
	for s, n := range severityCounts(i.Judgement.Vulnerabilities) {
		if n > 0 {
			out = append(out, int64(s))
		}
	}
	return out
}

// repositories returns the names of an image's repositories; Docker Hub's official ones go by their short names as well.
func (i seen) repositories() []string {
	out := ofTags(i, func(t *tidewaiter.Tag) string { return t.Repository.Name })
	for _, t := range i.Tags {
		if short, official := strings.CutPrefix(t.Repository.Name, "library/"); official && t.Repository.Host == "docker.io" {
			out = append(out, short)
		}
	}
	return out
}

func ofTags(i seen, part func(*tidewaiter.Tag) string) []string {
	out := make([]string, len(i.Tags))
	for n := range i.Tags {
		out[n] = part(&i.Tags[n])
	}
	return out
}

// registryHost turns how a registry is asked for into how image names begin.
func registryHost(s string) string {
	if strings.Contains(s, "*") {
		return s
	}
	return tidewaiter.HostOf(s)
}
