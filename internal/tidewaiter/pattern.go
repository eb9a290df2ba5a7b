package tidewaiter

import "strings"

// MatchPattern reports whether name matches pattern: `*` stands for any run of characters, also an empty one, everything
// else for itself, letters in either case; an empty pattern matches everything. Prisma: a leading * means "ends with", a
// trailing one "starts with", both "contains", none "exactly".
//
// Time is linear in the pattern times the name; there is no backtracking beyond the last star.
func MatchPattern(pattern, name string) bool {
	if pattern == "" || pattern == "*" {
		return true
	}
	p, n := strings.ToLower(pattern), strings.ToLower(name)
	i, j, star, mark := 0, 0, -1, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && p[i] == n[j]:
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// IsPattern reports whether s can match more than one name: it is empty or holds a star.
func IsPattern(s string) bool { return s == "" || strings.Contains(s, "*") }
