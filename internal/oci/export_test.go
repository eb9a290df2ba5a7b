package oci

// What the external tests reach in for: parsers that have no other door.
var (
	NextLink        = nextLink
	LinkQuery       = linkQuery
	ParseChallenges = func(headers []string) (schemes []string, params []map[string]string) {
		for _, c := range parseChallenges(headers) {
			schemes, params = append(schemes, c.scheme), append(params, c.params)
		}
		return schemes, params
	}
)
