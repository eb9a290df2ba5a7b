package prisma

import (
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// defendersOf translates the collections of a specification: Prisma has a registry scanned by the Defenders whose host one
// of its collections names, ours are the workers on such a machine. None is every worker, as is "All", and a name that no
// collection here can have.
func defendersOf(collections []string) []string {
	if len(collections) == 0 {
		return nil
	}
	for _, name := range collections {
		if name == tidewaiter.CollectionAll || !collectionName.MatchString(name) {
			return nil
		}
	}
	names := slices.Compact(slices.Sorted(slices.Values(collections)))
	return []string{tidewaiter.LabelCollection + "=" + strings.Join(names, "|")}
}

// hostsOf are the hosts a collection restricts workers to; none when it lets every host.
func hostsOf(hosts []string) []string {
	if slices.Contains(hosts, "*") {
		return nil
	}
	return hosts
}
