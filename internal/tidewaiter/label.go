package tidewaiter

import (
	"regexp"
	"slices"
	"strings"
)

// A worker has labels, key=value, which say where it stands: "zone=dmz". A registry may ask for labels: then only workers
// that have all of them work on it. What is asked for may be a pattern, or several of which one is enough:
// "host=dmz-*|edge-1".

// LabelHost is the key of the label every worker has by itself: the name of its machine.
const LabelHost = "host"

// LabelCollection is the key by which a registry asks for the workers of collections, as Prisma's API declares it: those
// whose machine one of the collections has among its hosts.
const LabelCollection = "collection"

// MaxLabels is how many labels a worker may have, and a registry may ask for.
const MaxLabels = 32

var (
	labelKey     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`)
	labelValue   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._:@/-]{0,252}$`)
	labelPattern = regexp.MustCompile(`^[A-Za-z0-9._:@/* -]{1,254}$`)
)

// ValidateLabels reports the first of a worker's labels that cannot be one as an ErrInvalid on field "label".
func ValidateLabels(labels []string) error {
	if len(labels) > MaxLabels {
		return Invalid("label", "%d labels are more than the limit of %d", len(labels), MaxLabels)
	}
	for _, l := range labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || !labelKey.MatchString(key) || !labelValue.MatchString(value) {
			return Invalid("label", "%q is not a label", l).WithFix("write it as key=value, such as zone=dmz")
		}
		if key == LabelHost || key == LabelCollection {
			return Invalid("label", "the label %s cannot be given", key).WithFix("every worker has it by the name of its machine")
		}
	}
	return nil
}

// ValidateWantedLabels reports the first of the labels a registry asks for that cannot be one as an ErrInvalid on field
// "labels".
func ValidateWantedLabels(wanted []string) error {
	if len(wanted) > MaxLabels {
		return Invalid("labels", "%d labels are more than the limit of %d", len(wanted), MaxLabels)
	}
	for _, l := range wanted {
		key, value, ok := strings.Cut(l, "=")
		ok = ok && labelKey.MatchString(key)
		for part := range strings.SplitSeq(value, "|") {
			ok = ok && labelPattern.MatchString(part)
		}
		if !ok {
			return Invalid("labels", "%q is not a label to ask for", l).
				WithFix("write it as key=value, such as zone=dmz; * stands for any text and | for or")
		}
	}
	return nil
}

// LabelsFit reports whether a worker with these labels has all that are wanted.
func LabelsFit(labels, wanted []string) bool {
	for _, w := range wanted {
		key, values, _ := strings.Cut(w, "=")
		if !slices.ContainsFunc(labels, func(l string) bool {
			k, v, _ := strings.Cut(l, "=")
			return k == key && labelMatches(values, v)
		}) {
			return false
		}
	}
	return true
}

// ResolveCollections replaces the collections among the labels a registry asks for by their hosts. A collection that is not
// known, or names no hosts, asks for nothing: clients name collections of other consoles.
func ResolveCollections(wanted []string, known []*Collection) []string {
	var out []string
	for _, w := range wanted {
		names, ok := strings.CutPrefix(w, LabelCollection+"=")
		if !ok {
			out = append(out, w)
			continue
		}
		var hosts []string
		for name := range strings.SplitSeq(names, "|") {
			i := slices.IndexFunc(known, func(c *Collection) bool { return c.Name == name })
			if i < 0 || len(known[i].Hosts) == 0 {
				hosts = nil
				break // this one alone lets everybody
			}
			hosts = append(hosts, known[i].Hosts...)
		}
		if len(hosts) > 0 {
			out = append(out, LabelHost+"="+strings.Join(hosts, "|"))
		}
	}
	return out
}

func labelMatches(patterns, value string) bool {
	for p := range strings.SplitSeq(patterns, "|") {
		if MatchPattern(p, value) {
			return true
		}
	}
	return false
}
