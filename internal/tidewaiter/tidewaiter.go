// Package tidewaiter is the domain: the nouns every other package speaks of and the rules that hold for them.
//
// A Registry is one declared place to look for images. A Scan lists its repositories and tags, the Scope decides which
// of them count, and each selected Tag leads to a Manifest and from there to Images. An Image is made of Layers; each
// Layer is analysed once for the whole fleet into an Analysis. Merged, the analyses of an image's layers are its
// Content: the Packages installed, secrets, set-id files. Findings belong to packages, not to images; Checks and the
// Verdict belong to the image.
//
// This package does no I/O, reads no clock and imports nothing of the project.
package tidewaiter
