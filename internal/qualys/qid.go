package qualys

import (
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
)

// The numbers of vulnerabilities. Qualys numbers its own checks and publishes no rule; clients take the number for a 32-bit
// integer that names a vulnerability. Ours come from the name alone, so that they are the same on every image, in every
// installation and for ever:
//
//	CVE-<year>-<number>   (year-1990)·10,000,000 + number     90,000,000 (1999) to 2,139,999,999 (2203)
//	anything else         10,000,000 + a hash of the name     10,000,000 to 89,999,999
//
// The first never collide. Two of the second on one image that do are moved apart, in the order of their names.
const (
	cveYear     = 1990
	cveNumbers  = 10_000_000
	hashedFirst = 10_000_000
	hashedCount = 80_000_000
)

var cve = regexp.MustCompile(`^CVE-(\d{4})-(\d{1,7})$`)

// qidOf returns the number of a vulnerability name before collisions are seen to.
func qidOf(name string) int {
	if m := cve.FindStringSubmatch(name); m != nil {
		year, _ := strconv.Atoi(m[1])   // four digits
		number, _ := strconv.Atoi(m[2]) // at most seven
		if year >= 1999 && year <= 2203 {
			return (year-cveYear)*cveNumbers + number
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return hashedFirst + int(h.Sum64()%hashedCount)
}

// qidsOf returns the numbers of distinct names, no two the same.
func qidsOf(names []string) map[string]int {
	names = slices.Sorted(slices.Values(names))
	out := make(map[string]int, len(names))
	taken := make(map[int]bool, len(names))
	for _, name := range names {
		if _, known := out[name]; known {
			continue
		}
		qid := qidOf(name)
		for taken[qid] {
			if qid++; qid == hashedFirst+hashedCount {
				qid = hashedFirst
			}
		}
		out[name], taken[qid] = qid, true
	}
	return out
}
