package queue

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// presenceMark stands in the id of a process before what makes it unique, when that is the key of a lock the process holds for as
// long as it is there. Earlier versions write "-" and hold none; their ids never end in the mark and digits alone.
const presenceMark = '@'

// clientID makes the id of this start of the process: the readable name, cut to what River allows, and chance.
func clientID(name string, mark rune) string {
	if name == "" {
		name = "worker"
	}
	return name[:min(len(name), 80)] + string(mark) + strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // a name, no secret
}

// presenceKey is the key of the lock that a process holds; ok is false when it is of a version that holds none.
func presenceKey(id string) (key int64, ok bool) {
	at := strings.LastIndexByte(id, presenceMark)
	if at < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(id[at+1:], 36, 64)
	return int64(n), err == nil
}

func newPresence(id string) *presence {
	key, _ := presenceKey(id)
	return &presence{key: key}
}
