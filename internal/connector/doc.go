// Package connector opens declared registries: it turns a Registry and its Credential into something that lists and
// gives out images. How a kind of registry is listed and logged in to is known here and nowhere else: one file a kind.
//
// A kind is a Capabilities value and a function that prepares a registry without asking it anything. Lists come from the
// API that says most with the fewest requests; where that API cannot be used, from the distribution API. The README lists
// the kinds, what they can do, and the keys of their settings.
package connector
