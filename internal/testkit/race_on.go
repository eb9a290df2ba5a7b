//go:build race

package testkit

// UnderRace says that the race detector watches: it takes memory of its own, and time, most of all of SQLite.
const UnderRace = true
