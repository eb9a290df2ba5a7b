// Package oci is the registry client: it lists repositories and tags, reads manifests, configurations, blobs and
// referrers of any Docker Registry v2 or OCI distribution endpoint.
//
// A Client holds the connections of a process; a Registry is one endpoint with one credential and keeps the tokens it
// obtained, so keep it for as long as the work lasts. Every request passes, from the outside in:
//
//	authorizer  answers Basic and Bearer challenges; sends credentials to the registry and to realms it may trust
//	retry       at most 4 tries and 30 s of waiting; what has to wait longer is an ErrLimit that says how long
//	meter       the budget of the (host, credential): places, rate, pauses a 429 asked for; the trace; stall timers
//	guard       no link-local, metadata, multicast or unspecified address, and loopback only when allowed
//
// # Whom the client believes
//
// Everything a registry says is taken as hostile. Bodies are limited, digests are verified, texts that reach a user are
// cut and freed of control characters. A "next page" link only ever contributes its query: scheme, host and path stay
// those of the listing. Authorization headers never survive a redirect to another origin. Credentials go to a token
// realm only under the rules of Endpoint.TrustRealms.
//
// # Errors
//
// Every error is, or wraps, a *tidewaiter.Error: ErrAuth, ErrDenied, ErrUnreachable, ErrTLS, ErrLimit, ErrTransient,
// ErrGone, ErrUnsupported, ErrMalformed, ErrTooLarge, ErrCanceled, or ErrInvalid for a request that cannot be made.
package oci
